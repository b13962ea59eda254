"""``polymorph data …``: look at labelled video."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from polymorph_ros.data.dataset import Dataset
    from polymorph_ros.data.picture_survey import PictureSurvey

data_app = typer.Typer(no_args_is_help=True, help="Look at labelled video.")

_ROWS = 12  # of a table, unless all are asked for
_FEW_FRAMES = 20


@data_app.callback()
def _group() -> None:
    pass


@data_app.command()
def check(
    path: Annotated[
        Path,
        typer.Argument(
            help="A label CSV, COCO-video JSON, video, rosbag2 recording, or a folder of these."
        ),
    ],
    labels: Annotated[
        Path | None, typer.Option(help="CSV (or JSON) with the labels, where PATH has none.")
    ] = None,
    topic: Annotated[
        str | None, typer.Option(help="Image topic, where a recording has several.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Seconds between a picture's stamp and its labels'.")
    ] = 0.05,
    fps: Annotated[float, typer.Option(help="Frames per second where nothing says it.")] = 30.0,
    separator: Annotated[str, typer.Option(help="Between the labels of a CSV's cell.")] = "|",
    pictures: Annotated[bool, typer.Option(help="Open every picture.")] = True,
    few: Annotated[
        int, typer.Option(help="Frames with (and without) a label below which it is named.")
    ] = _FEW_FRAMES,
    everything: Annotated[bool, typer.Option("--all", help="Show all rows.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write all that was found here.")] = None,
) -> None:
    """Say what a data set holds, and what of it cannot be used.

    Exit code 0 if some of it can be used, 1 if nothing.
    """
    from polymorph_ros.cli.data_report import print_report, write_report
    from polymorph_ros.data.open_dataset import open_dataset
    from polymorph_ros.data.survey import survey
    from polymorph_ros.errors import PolymorphError

    dataset = open_dataset(
        path, labels=labels, topic=topic, tolerance_s=tolerance, fps=fps, separator=separator
    )
    seen = survey(dataset.tracks(), dataset.vocabulary)
    opened = _open_all(dataset) if pictures else None
    console = Console()
    print_report(console, path, dataset, seen, opened, few, None if everything else _ROWS)
    if json:
        write_report(json, path, dataset, seen, opened, few)
        console.print(f"[dim]all of it: {json}[/dim]", highlight=False)
    if opened and not any(opened.readable):
        raise PolymorphError(
            "a picture that can be read", f"none of {seen.frames}", where=str(path)
        )


def _open_all(dataset: Dataset) -> PictureSurvey:
    from polymorph_ros.data.picture_survey import survey_pictures
    from polymorph_ros.progress import progress_bar

    frames = sum(len(sequence) for sequence in dataset.sequences)
    with progress_bar() as bars:
        task = bars.add_task("opening pictures", total=frames, note="")
        return survey_pictures(dataset, lambda: bars.advance(task))
