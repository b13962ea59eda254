"""One evaluation from beginning to end: load, replay, sum up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from polymorph_ros import __version__
from polymorph_ros.bundle.reader import Bundle, read_bundle
from polymorph_ros.data.dataset import Dataset
from polymorph_ros.energy.calibration import read_calibration
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.meter import open_meter
from polymorph_ros.evaluation.baselines.entry import Source
from polymorph_ros.evaluation.baselines.table import (
    POLYMORPH,
    baselines_beside,
    description_of,
    make_methods,
    trained_as,
)
from polymorph_ros.evaluation.frame_log import FrameLog, read_frame_log, write_frame_log
from polymorph_ros.evaluation.gpu_clock import GpuClock
from polymorph_ros.evaluation.join import JoinedData, join
from polymorph_ros.evaluation.live import LIVE, live_data, live_summary, play_all
from polymorph_ros.evaluation.machine import MachineFacts, machine_facts
from polymorph_ros.evaluation.method_metrics import Costs, MethodMetrics, all_metrics, plain
from polymorph_ros.evaluation.metrics.energy import Metering
from polymorph_ros.evaluation.offline import BLOCK, Bench, replay, warm
from polymorph_ros.evaluation.overlap import require_pictures
from polymorph_ros.evaluation.peak_memory import WORDS, peak_bytes
from polymorph_ros.evaluation.run_folder import RunFolder
from polymorph_ros.files import write_json
from polymorph_ros.model.gpu import choose_device
from polymorph_ros.progress import progress_bar

Say = Callable[[str], None]
_FAULTS = 100  # so many are written down, the rest counted


@dataclass(frozen=True)
class Request:
    """What is evaluated, on what, and how.

    Attributes:
        where: the data's place, for errors and the report.
        methods: names, the reference first.
        baselines: folder with trained baselines; None for the one beside the bundle.
        device: "auto", "cpu", "cuda" or "cuda:N".
        threads: of a computation on the CPU; another number may change the last bits.
        energy: which meter, as ``open_meter`` names them.
        memory: whether peak memory is measured, in a process for each method.
        calibration: this machine's, for an estimate of energy.
        battery_wh: watt-hours of the battery whose hours the report says; 0 for none.
    """

    bundle: Path
    where: str
    methods: tuple[str, ...]
    out: Path
    baselines: Path | None = None
    device: str = "auto"
    threads: int = 1
    energy: str = "auto"
    memory: bool = True
    calibration: Path | None = None
    battery_wh: float = 0.0

    @property
    def baselines_folder(self) -> Path:
        """Where trained baselines lie."""
        return self.baselines or baselines_beside(self.bundle)


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        logs: of each method, sequence after sequence.
        summary: what ``summary.json`` says.
        complete: whether every sequence was replayed to its end.
    """

    bundle: Bundle
    data: JoinedData
    metrics: tuple[MethodMetrics, ...]
    logs: dict[str, list[FrameLog]]
    summary: dict[str, Any]
    complete: bool


@dataclass(frozen=True)
class _Run:
    """What all parts of one evaluation share."""

    request: Request
    bundle: Bundle
    data: JoinedData
    folder: RunFolder
    bench: Bench
    device: torch.device
    peak: dict[str, int]
    idle_watts: float


def evaluate(request: Request, dataset: Dataset, say: Say) -> Outcome:
    """Run the methods side by side over the data and write everything to the folder.

    Interrupted, it keeps what it has, sums that up, and raises KeyboardInterrupt again; called
    once more, it goes on.

    Raises:
        PolymorphError: bundle, data and folder do not go together, or nothing could be read.
    """
    with _opened(request, dataset, say, {}) as run:
        facts = _replayed(run, run.data, say)
        return _sum_up(run, _logs(run, request.methods), facts, complete=True)


def evaluate_live(
    request: Request, dataset: Dataset, place: Path, topic: str | None, rate: float, say: Say
) -> Outcome:
    """Play recordings to the real node, then label the answered pictures with the engine.

    The methods of the request run over the same pictures. The outcome has ``LIVE`` beside them,
    and ``summary["live"]`` counts, latency, jitter, and how far node and engine differ.

    Args:
        place: the recording, or the folder of recordings, that the data set was read from.
        topic: the image topic where there are several.
        rate: images per second; 0 for the recordings' own pace.

    Raises:
        PolymorphError: as ``evaluate``, or the node could not be run.
    """
    with _opened(request, dataset, say, {"mode": "live", "rate": rate}) as run:
        runs = play_all(
            run.data, place, topic=topic, rate=rate, bundle=request.bundle, folder=run.folder
        )
        facts = _replayed(run, live_data(run.data, runs), say)
        logs = _logs(run, request.methods)
        counters = live_summary(runs, logs[POLYMORPH])
        for number, one in enumerate(runs):
            file = run.folder.frames(LIVE, number, one.sequence.name)
            write_frame_log(one.answers, file)
        both = {LIVE: [one.answers for one in runs], **logs}
        return _sum_up(run, both, facts, complete=True, live=counters)


@contextmanager
def _opened(request: Request, dataset: Dataset, say: Say, more: dict[str, Any]) -> Iterator[_Run]:
    bundle = read_bundle(request.bundle)
    labels = [label.name for label in bundle.manifest.labels]
    data = join(dataset, labels, request.where)
    _tell(data, say)
    require_pictures(data, request.where)
    device = choose_device(request.device)
    torch.set_num_threads(request.threads)
    folder = RunFolder(request.out)
    folder.claim({**_key(request, bundle, data, device), **more})
    peak = _peaks(request, folder, device)
    gpu = GpuClock(device)
    busy = (lambda: gpu.seconds) if device.type == "cuda" else None
    calibration = read_calibration(request.calibration) if request.calibration else None
    meter = open_meter(
        request.energy, device=str(device), gpu_seconds=busy, calibration=calibration
    )
    try:
        idle = EnergyLedger(meter).measure_idle()
        yield _Run(request, bundle, data, folder, Bench(meter, gpu), device, peak, idle)
    finally:
        meter.close()


def _replayed(run: _Run, data: JoinedData, say: Say) -> MachineFacts:
    """Replay all that is left to replay; the machine as it was before."""
    source = Source(run.bundle, str(run.device), run.request.baselines_folder)
    methods = make_methods(run.request.methods, source)
    warm(methods, data)
    facts = machine_facts(run.device)
    try:
        replay(methods, data, run.bundle, run.bench, run.folder, say)
    except KeyboardInterrupt:
        logs = _logs(run, run.request.methods)
        if all(logs.values()):
            _sum_up(run, logs, facts, complete=False)
        raise
    return facts


def _logs(run: _Run, methods: Sequence[str]) -> dict[str, list[FrameLog]]:
    """Every method's frames so far, sequence after sequence."""
    return {
        name: [log for log in map(read_frame_log, run.folder.logs_of(name)) if len(log)]
        for name in methods
    }


def _sum_up(
    run: _Run,
    logs: dict[str, list[FrameLog]],
    facts: MachineFacts,
    *,
    complete: bool,
    live: dict[str, Any] | None = None,
) -> Outcome:
    bundle, data, manifest = run.bundle, run.data, run.bundle.manifest
    meter = run.bench.meter
    frames = sum(len(log) for log in logs[POLYMORPH])
    metrics = all_metrics(logs, Costs(_metering(run), run.peak), POLYMORPH)
    summary = {
        "polymorph_ros": __version__,
        "complete": complete,
        "bundle": {
            "name": manifest.name,
            "description": manifest.description,
            "checksum": bundle.checksum,
            "labels": len(manifest.labels),
            "contexts": len(manifest.contexts),
        },
        "data": {
            "where": run.request.where,
            "sequences": len(data.sequences),
            "frames": len(data),
            "frames_scored": frames,
            "frames_unread": len(data) - frames if complete and live is None else None,
            "labels_scored": list(data.scored),
            "labels_left_out": list(data.left_out),
            "faults": [asdict(fault) for fault in data.faults[:_FAULTS]],
            "faults_in_all": len(data.faults),
            "assumptions": list(data.assumptions),
        },
        "energy": {
            "source": meter.source.value,
            "scope": meter.scope,
            "note": meter.note,
            "errors": meter.error.basis,
            "idle_watts": plain(run.idle_watts),
            "battery_wh": run.request.battery_wh,
        },
        "memory": WORDS[run.device.type] if run.peak else "not measured",
        "machine": asdict(facts),
        "methods": [
            {
                **one.details(),
                "what": description_of(one.method),
                "trained": trained_as(one.method, bundle, run.request.baselines_folder),
            }
            for one in metrics
        ],
        **({"live": live} if live is not None else {}),
    }
    write_json(run.folder.path / "summary.json", summary)
    return Outcome(bundle, data, metrics, logs, summary, complete)


def _metering(run: _Run) -> Metering:
    meter = run.bench.meter
    return Metering(
        *(meter.source, meter.scope, meter.error, meter.resolution_s, BLOCK),
        idle_watts=run.idle_watts,
        battery_wh=run.request.battery_wh,
    )


def _tell(data: JoinedData, say: Say) -> None:
    say(
        f"{len(data.sequences)} sequence(s), {len(data)} frames, "
        f"{len(data.scored)} label(s) that bundle and truth share"
    )
    if data.left_out:
        say(
            f"{len(data.left_out)} label(s) of the truth are unknown to the bundle and left out: "
            + ", ".join(data.left_out)
        )
    for fault in data.faults[:10]:
        say(f"left out: {fault.where}: {fault.reason}")
    if len(data.faults) > 10:
        say(f"left out: {len(data.faults) - 10} more, see summary.json")


def _key(
    request: Request, bundle: Bundle, data: JoinedData, device: torch.device
) -> dict[str, Any]:
    """All that decides the results; the data by a hash of their stamps and truth."""
    digest = hashlib.sha256(json.dumps([data.labels, data.scored]).encode())
    for sequence in data.sequences:
        digest.update(sequence.name.encode())
        digest.update(np.ascontiguousarray(sequence.stamps_ns).tobytes())
        digest.update(np.ascontiguousarray(sequence.truth).tobytes())
    return {
        "polymorph_ros": __version__,
        "bundle": bundle.checksum,
        "data": digest.hexdigest(),
        "methods": list(request.methods),
        "device": device.type,
        "threads": request.threads,
        "energy": request.energy,
        "calibration": str(request.calibration or ""),
    }


def _peaks(request: Request, folder: RunFolder, device: torch.device) -> dict[str, int]:
    """Peak memory by method, measured once."""
    if not request.memory:
        return {}
    file = folder.path / "memory.json"
    if file.is_file():
        found: dict[str, int] = json.loads(file.read_text(encoding="utf-8"))
        return found
    peak: dict[str, int] = {}
    with progress_bar() as bars:
        task = bars.add_task("peak memory", total=len(request.methods), note="")
        for name in request.methods:
            bars.update(task, note=name)
            peak[name] = peak_bytes(name, request.bundle, str(device), request.baselines_folder)
            bars.update(task, advance=1)
    write_json(file, peak)
    return peak


def rows(metrics: Sequence[MethodMetrics]) -> list[dict[str, Any]]:
    """One flat row for each method, as ``--json`` holds them."""
    return [one.row() for one in metrics]
