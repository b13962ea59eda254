"""``polymorph evaluate``: accuracy, energy and latency beside what else one would run."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


class Mode(str, Enum):
    """How frames reach what labels them."""

    OFFLINE = "offline"
    LIVE = "live"


def evaluate(
    bundle: Annotated[Path, typer.Option(help="The bundle's folder.")],
    data: Annotated[Path, typer.Option(help="Labelled video: folder, CSV, video or recording.")],
    out: Annotated[
        Path, typer.Option(help="Folder for results; a run that was broken off goes on.")
    ],
    labels: Annotated[
        Path | None, typer.Option(help="The labels (CSV) of a folder or recording.")
    ] = None,
    topic: Annotated[
        str | None, typer.Option(help="Image topic of a recording that has several.")
    ] = None,
    compare: Annotated[
        str, typer.Option(help="Other methods to run beside: names with commas, or all.")
    ] = "",
    json: Annotated[
        Path | None, typer.Option(help="Write one row per method to this file.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[
        int, typer.Option(min=1, help="CPU threads; another number may change last digits.")
    ] = 1,
    energy: Annotated[
        str, typer.Option(help="Energy source: auto, jetson_rails, nvml, rapl, estimated, none.")
    ] = "auto",
    memory: Annotated[
        bool, typer.Option(help="Measure peak memory, in a process per method.")
    ] = True,
    mode: Annotated[
        Mode, typer.Option(help="offline: every frame. live: through the node over DDS.")
    ] = Mode.OFFLINE,
    rate: Annotated[
        float, typer.Option(min=0, help="Live: images per second; 0: the recording's own pace.")
    ] = 0.0,
    timeline: Annotated[
        str, typer.Option(help="Sequence of the report's timeline; else where most happens.")
    ] = "",
) -> None:
    """Replay labelled video through a bundle and what else one would run, and sum it up."""
    # Imported here: torch takes seconds, and `--help` should not.
    from polymorph_ros.data.open_dataset import open_dataset
    from polymorph_ros.evaluation.methods.registry import method_names
    from polymorph_ros.evaluation.report.write import write_report
    from polymorph_ros.evaluation.run_folder import write_json
    from polymorph_ros.evaluation.session import Request, evaluate_live, rows
    from polymorph_ros.evaluation.session import evaluate as run
    from polymorph_ros.evaluation.tables import figures_table

    console = Console()
    request = Request(
        bundle=bundle,
        where=str(data),
        methods=method_names(compare),
        out=out,
        device=device,
        threads=threads,
        energy=energy,
        memory=memory,
    )
    dataset = open_dataset(data, labels=labels, topic=topic)

    def say(line: str) -> None:
        console.print(line, highlight=False)

    if mode is Mode.LIVE:
        outcome = evaluate_live(request, dataset, data, topic, rate, say)
    else:
        outcome = run(request, dataset, say)
    if json is not None:
        write_json(rows(outcome.figures), json)
    console.print(figures_table(outcome.figures))
    write_report(outcome, out, timeline)
    console.print(f"report: {out / 'report.html'}", highlight=False)
