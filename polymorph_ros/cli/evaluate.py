"""``polymorph evaluate``: accuracy, energy and latency beside what else one would run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from polymorph_ros.energy.meter import METER_KINDS
from polymorph_ros.errors import PolymorphError

if TYPE_CHECKING:
    from polymorph_ros.data.dataset import Dataset
    from polymorph_ros.evaluation.session import Outcome, Request
    from polymorph_ros.training.config import TrainConfig

_Say = Callable[[str], None]


class Mode(str, Enum):
    """How frames reach what labels them."""

    OFFLINE = "offline"
    LIVE = "live"


_Data = Annotated[
    list[Path] | None,
    typer.Option(help="Labelled video: folder, CSV, video or recording. Several are joined."),
]
_Out = Annotated[
    Path | None, typer.Option(help="Folder for results; a run that was broken off goes on.")
]
_Labels = Annotated[Path | None, typer.Option(help="The labels (CSV) of a folder or recording.")]
_Topic = Annotated[str | None, typer.Option(help="Image topic of a recording that has several.")]
_Mode = Annotated[Mode, typer.Option(help="offline: every frame. live: through the node over DDS.")]
_Rate = Annotated[
    float, typer.Option(min=0, help="Live: images per second; 0: the recording's own pace.")
]
_Compare = Annotated[
    str, typer.Option(help="Other methods to run beside: names with commas, or all.")
]
_Json = Annotated[Path | None, typer.Option(help="Write one row per method to this file.")]
_Timeline = Annotated[
    str, typer.Option(help="Sequence of the report's timeline; else where most happens.")
]
_Threads = Annotated[
    int, typer.Option(min=1, help="CPU threads; another number may change last digits.")
]
_Energy = Annotated[str, typer.Option(help=f"One of {', '.join(METER_KINDS)}.")]
_Calibration = Annotated[
    Path | None, typer.Option(help="This machine's file of `polymorph energy calibrate`.")
]
_Battery = Annotated[
    float, typer.Option(min=0, help="Watt-hours of a battery, to say how long it would last.")
]
_Memory = Annotated[bool, typer.Option(help="Measure peak memory, in a process per method.")]
_Baselines = Annotated[
    Path | None, typer.Option(help="Folder of trained baselines; else beside the bundle.")
]
_TrainBaselines = Annotated[
    Path | None,
    typer.Option(help="First train the baselines of --compare (else all) from this configuration."),
]
_LargerBackbone = Annotated[
    str,
    typer.Option(help="Folder or Hub name of the next larger backbone, for --train-baselines."),
]
_LargerSize = Annotated[
    int | None, typer.Option(min=16, help="Side of its pictures; else the one it was trained with.")
]
_Siglip2 = Annotated[
    str,
    typer.Option(help="SigLIP 2 for siglip2_zero_shot: a folder, or a Hub name in the cache."),
]
_Work = Annotated[
    Path, typer.Option(help="Work folder of the bundle's training, for --train-baselines.")
]


def evaluate(
    bundle: Annotated[Path, typer.Option(help="The bundle's folder.")],
    data: _Data = None,
    out: _Out = None,
    labels: _Labels = None,
    topic: _Topic = None,
    mode: _Mode = Mode.OFFLINE,
    rate: _Rate = 0.0,
    compare: _Compare = "",
    json: _Json = None,
    timeline: _Timeline = "",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    threads: _Threads = 1,
    energy: _Energy = "auto",
    calibration: _Calibration = None,
    battery_wh: _Battery = 0.0,
    memory: _Memory = True,
    baselines: _Baselines = None,
    train_baselines: _TrainBaselines = None,
    larger_backbone: _LargerBackbone = "",
    siglip2: _Siglip2 = "google/siglip2-base-patch16-224",
    larger_size: _LargerSize = None,
    work: _Work = Path("build/train"),
) -> None:
    """Replay labelled video through a bundle and what else one would run, and sum it up."""
    # Imported here: torch takes seconds, and `--help` should not.
    from polymorph_ros.evaluation.baselines.table import baselines_beside, method_names
    from polymorph_ros.evaluation.session import Request, evaluate_live
    from polymorph_ros.evaluation.session import evaluate as evaluate_offline
    from polymorph_ros.training.config import read_config

    folder = baselines or baselines_beside(bundle)
    if train_baselines is not None:
        settings = read_config(train_baselines).model_copy(update={"device": device})
        _train(settings, bundle, folder, work, (compare, larger_backbone, larger_size, siglip2))
    if not data or out is None:
        if train_baselines is not None:
            return
        raise typer.BadParameter("--data and --out are needed")
    request = Request(
        bundle=bundle,
        where=", ".join(map(str, data)),
        methods=method_names(compare, folder),
        out=out,
        baselines=folder,
        device=device,
        threads=threads,
        energy=energy,
        memory=memory,
        calibration=calibration,
        battery_wh=battery_wh,
    )
    dataset = _open(data, labels, topic, timeline)
    if mode is Mode.OFFLINE:
        outcome = evaluate_offline(request, dataset, _say)
    elif len(data) == 1:
        outcome = evaluate_live(request, dataset, data[0], topic, rate, _say)
    else:
        raise typer.BadParameter("live mode plays one path: a recording, or a folder of them")
    _report(outcome, request, json, timeline)


def _say(line: str) -> None:
    Console().print(line, highlight=False)


def _train(
    config: TrainConfig,
    bundle: Path,
    out: Path,
    work: Path,
    how: tuple[str, str, int | None, str],
) -> None:
    """``how``: the methods to train for, the larger backbone and its size, and SigLIP 2."""
    from polymorph_ros.bundle import read_bundle
    from polymorph_ros.evaluation.baselines.table import weights_of
    from polymorph_ros.evaluation.baselines.train import train_baselines
    from polymorph_ros.training.config import named_backbone

    compare, larger_backbone, larger_size, siglip2 = how
    larger = named_backbone(larger_backbone, larger_size) if larger_backbone else None
    train_baselines(
        *(weights_of(compare, out), config, read_bundle(bundle), out, work, _say),
        larger=larger,
        siglip2=siglip2,
    )


def _open(data: Sequence[Path], labels: Path | None, topic: str | None, timeline: str) -> Dataset:
    """The data as one set, in which the sequence of the timeline is, if one is named."""
    from polymorph_ros.data.open_dataset import open_dataset
    from polymorph_ros.data.union import union

    opened = [open_dataset(path, labels=labels, topic=topic) for path in data]
    dataset = union(opened) if len(opened) > 1 else opened[0]
    names = [track.name for track in dataset.tracks()]
    if timeline and timeline not in names:
        raise PolymorphError(
            f"a sequence of the data ({', '.join(names)})", timeline, where="--timeline"
        )
    return dataset


def _report(outcome: Outcome, request: Request, json: Path | None, timeline: str) -> None:
    from polymorph_ros.evaluation.report.write import write_report
    from polymorph_ros.evaluation.session import rows
    from polymorph_ros.evaluation.tables import metrics_table
    from polymorph_ros.files import write_json

    if json is not None:
        write_json(json, rows(outcome.metrics))
    Console().print(metrics_table(outcome.metrics))
    write_report(outcome, request.out, timeline)
    _say(f"report: {request.out / 'report.html'}")
