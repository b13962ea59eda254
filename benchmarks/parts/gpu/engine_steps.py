"""Whole engine steps on 640x480 pictures: their time, their stages, and how often the host waits.

Waits are those that PyTorch reports (``torch.cuda.set_sync_debug_mode``), which are not all: it
does not report waiting for an event, which an upload does for the upload before it.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from statistics import fmean

import torch

from parts.gpu.bench import Bench
from parts.gpu.random_bundle import write_random_bundle
from parts.metrics import Results, milliseconds, rounded
from parts.pictures import HZ, pictures
from polymorph_ros.bundle.reader import default_bundle
from polymorph_ros.data.frame import Frame
from polymorph_ros.model.backend import Backend
from polymorph_ros.runtime.engine import Engine
from polymorph_ros.runtime.loading import LoadedBundle, load_bundle
from polymorph_ros.runtime.result import FrameResult
from polymorph_ros.runtime.settings import EngineSettings

SIZE = (640, 480)
_WARM_FRAMES, _SYNC_FRAMES = 20, 10
_TARGET_MS, _TARGET_WAITS = 2.0, 1
_PERIOD_NS = round(1e9 / HZ)


def measure(bench: Bench) -> None:
    """The default bundle, and one of a DINOv2-S, in single and half precision."""
    rows = bench.results["rows"] = []
    with tempfile.TemporaryDirectory() as folder:
        large = write_random_bundle(Path(folder) / "random", tiny=bench.quick)
        cases: list[tuple[str, Path, Backend, int]] = [
            ("default", default_bundle(), "float32", 0),
            ("DINOv2-S", large, "bfloat16", 4),
            ("default", default_bundle(), "bfloat16", 0),
            ("DINOv2-S", large, "bfloat16", 16),
            ("DINOv2-S", large, "float32", 4),
        ]
        for index, (name, path, backend, most) in enumerate(cases):
            seconds = bench.left_s() / (len(cases) - index)
            loaded = load_bundle(path, str(bench.device), backend)
            for meter in ("none", "auto"):
                row = {"bundle": name, "backend": backend, "max_adapters": most, "meter": meter}
                row |= _steps(loaded, meter, most, bench, 0.3 * seconds)
                rows.append(row)
                bench.say(_line(row))
                bench.save()
    first, waits = rows[0]["step_ms"]["p50"], rows[0]["waits_per_step"]
    if waits is not None:
        met = first <= _TARGET_MS and waits <= _TARGET_WAITS
        bench.say(f"target: default bundle <= {_TARGET_MS} ms, <= {_TARGET_WAITS} wait: "
                  f"{first} ms, {waits} waits, {'met' if met else 'MISSED'}")  # fmt: skip


def steps(engine: Engine) -> Iterator[tuple[float, FrameResult]]:
    """Engine steps without end: seconds of each on the wall, and its result."""
    images = pictures(*SIZE)
    for number in count():
        frame = Frame(images[number % len(images)], (number + 1) * _PERIOD_NS)
        start = time.perf_counter()
        result = engine.step(frame)
        yield time.perf_counter() - start, result


def _steps(loaded: LoadedBundle, meter: str, most: int, bench: Bench, seconds: float) -> Results:
    ledger = loaded.open_ledger(meter)
    running = steps(loaded.engine(ledger, EngineSettings(max_adapters=most)))
    for _ in range(_WARM_FRAMES):
        next(running)
    with waits(bench) as places:
        for _ in range(_SYNC_FRAMES):
            next(running)
    taken, end = [], time.monotonic() + seconds
    while len(taken) < _WARM_FRAMES or time.monotonic() < end:
        taken.append(next(running))
    source = ledger.summary().source.value
    ledger.close()
    stages = {name for _, result in taken for name in result.stage_seconds}
    return {
        "captured": loaded.model._graphs is not None,
        "meter_source": source,
        "adapters_per_frame": rounded(fmean(len(r.cover.adapters) for _, r in taken)),
        "step_ms": milliseconds(each for each, _ in taken),
        "stage_ms": {
            name: milliseconds(r.stage_seconds.get(name, 0.0) for _, r in taken)["p50"]
            for name in sorted(stages)
        },
        "waits_per_step": sum(places.values()) / _SYNC_FRAMES if bench.on_gpu else None,
        "waits_at": dict(places),
    }


@contextmanager
def waits(bench: Bench) -> Iterator[Counter[str]]:
    """Counts where the host waits for the GPU, by file and line."""
    places: Counter[str] = Counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if bench.on_gpu:
            torch.cuda.set_sync_debug_mode("warn")
        try:
            yield places
        finally:
            if bench.on_gpu:
                torch.cuda.set_sync_debug_mode("default")
    for warning in caught:
        if "synchronizing CUDA operation" in str(warning.message):
            file = "/".join(Path(warning.filename).parts[-3:])
            places[f"{file}:{warning.lineno}"] += 1


def _line(row: Results) -> str:
    step = row["step_ms"]
    return (
        f"engine, {row['bundle']}, {row['backend']}, meter {row['meter_source']}: "
        f"{step['p50']} ms (p95 {step['p95']}), {row['adapters_per_frame']} adapters, "
        f"{row['waits_per_step']} waits, captured {row['captured']}"
    )
