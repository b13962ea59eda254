"""``polymorph evaluate``: accuracy, energy and latency beside what else one would run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from polymorph_ros.errors import PolymorphError


class Mode(str, Enum):
    """How frames reach what labels them."""

    OFFLINE = "offline"
    LIVE = "live"


def evaluate(
    bundle: Annotated[Path, typer.Option(help="The bundle's folder.")],
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Labelled video: folder, CSV, video or recording. Several are joined."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for results; a run that was broken off goes on.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="The labels (CSV) of a folder or recording.")
    ] = None,
    topic: Annotated[
        str | None, typer.Option(help="Image topic of a recording that has several.")
    ] = None,
    mode: Annotated[
        Mode, typer.Option(help="offline: every frame. live: through the node over DDS.")
    ] = Mode.OFFLINE,
    rate: Annotated[
        float, typer.Option(min=0, help="Live: images per second; 0: the recording's own pace.")
    ] = 0.0,
    compare: Annotated[
        str, typer.Option(help="Other methods to run beside: names with commas, or all.")
    ] = "",
    json: Annotated[
        Path | None, typer.Option(help="Write one row per method to this file.")
    ] = None,
    timeline: Annotated[
        str, typer.Option(help="Sequence of the report's timeline; else where most happens.")
    ] = "",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[
        int, typer.Option(min=1, help="CPU threads; another number may change last digits.")
    ] = 1,
    energy: Annotated[
        str, typer.Option(help="auto, jetson_rails, nvml, rapl, raspberry_pi, estimated or none.")
    ] = "auto",
    memory: Annotated[
        bool, typer.Option(help="Measure peak memory, in a process per method.")
    ] = True,
    baselines: Annotated[
        Path | None, typer.Option(help="Folder of trained baselines; else beside the bundle.")
    ] = None,
    train_baselines: Annotated[
        Path | None,
        typer.Option(
            help="First train the baselines of --compare (else all) from this configuration."
        ),
    ] = None,
    larger_backbone: Annotated[
        str, typer.Option(help="Hub name of the next larger backbone, for --train-baselines.")
    ] = "",
    work: Annotated[
        Path, typer.Option(help="Work folder of the bundle's training, for --train-baselines.")
    ] = Path("build/train"),
) -> None:
    """Replay labelled video through a bundle and what else one would run, and sum it up."""
    # Imported here: torch takes seconds, and `--help` should not.
    from polymorph_ros.data.open_dataset import open_dataset
    from polymorph_ros.data.union import union
    from polymorph_ros.evaluation.methods.registry import (
        baselines_beside,
        baselines_of,
        method_names,
    )
    from polymorph_ros.evaluation.report.write import write_report
    from polymorph_ros.evaluation.session import Request, evaluate_live, rows
    from polymorph_ros.evaluation.session import evaluate as run
    from polymorph_ros.evaluation.tables import metrics_table
    from polymorph_ros.files import write_json

    console = Console()

    def say(line: str) -> None:
        console.print(line, highlight=False)

    folder = baselines or baselines_beside(bundle)
    if train_baselines is not None:
        names = baselines_of(compare, folder)
        _train(train_baselines, bundle, folder, work, names, larger_backbone, say)
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
    )
    opened = [open_dataset(path, labels=labels, topic=topic) for path in data]
    dataset = union(opened) if len(opened) > 1 else opened[0]
    there = [sequence.track.name for sequence in dataset.sequences]
    if timeline and timeline not in there:
        raise PolymorphError(
            f"a sequence of the data ({', '.join(there)})", timeline, where="--timeline"
        )
    if mode is Mode.LIVE:
        if len(data) > 1:
            raise typer.BadParameter("live mode plays one path: a recording, or a folder of them")
        outcome = evaluate_live(request, dataset, data[0], topic, rate, say)
    else:
        outcome = run(request, dataset, say)
    if json is not None:
        write_json(json, rows(outcome.metrics))
    console.print(metrics_table(outcome.metrics))
    write_report(outcome, out, timeline)
    say(f"report: {out / 'report.html'}")


def _train(
    config: Path,
    bundle: Path,
    out: Path,
    work: Path,
    names: Sequence[str],
    larger: str,
    say: Callable[[str], None],
) -> None:
    from functools import partial

    from polymorph_ros.bundle import read_bundle
    from polymorph_ros.evaluation.baselines.train import train_baselines
    from polymorph_ros.evaluation.methods.baselines import beliefs
    from polymorph_ros.training.config import read_config

    checked = read_bundle(bundle)
    ask = partial(beliefs, checked)
    train_baselines(read_config(config), checked, out, work, ask, say, larger=larger, names=names)
