"""``polymorph data …``: look at labelled video, convert it, take pictures out of recordings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from polymorph_ros.data.dataset import Dataset, Fault
    from polymorph_ros.data.picture_survey import PictureSurvey

data_app = typer.Typer(no_args_is_help=True, help="Look at labelled video and convert it.")

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
            help="A label CSV, JSON, CVAT XML, video or recording, or a folder of these."
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


@data_app.command()
def convert(
    path: Annotated[
        Path, typer.Argument(help="Labelled video, as `polymorph data check` takes it.")
    ],
    out: Annotated[Path, typer.Argument(help="The folder to make.")],
    kind: Annotated[
        str,
        typer.Option("--format", help="csv, one-hot, cvat, datumaro, coco or fiftyone."),
    ],
    labels: Annotated[
        Path | None, typer.Option(help="File with the labels, where PATH has none.")
    ] = None,
    topic: Annotated[
        str | None, typer.Option(help="Image topic, where a recording has several.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Seconds between a picture's stamp and its labels'.")
    ] = 0.05,
    fps: Annotated[float, typer.Option(help="Frames per second where nothing says it.")] = 30.0,
) -> None:
    """Write labelled video as pictures and labels of another format."""
    from polymorph_ros.data.export import LABELS_FILES, write_dataset
    from polymorph_ros.data.open_dataset import open_dataset
    from polymorph_ros.progress import progress_bar

    dataset = open_dataset(path, labels=labels, topic=topic, tolerance_s=tolerance, fps=fps)
    frames = sum(len(sequence) for sequence in dataset.sequences)
    with progress_bar() as bars:
        task = bars.add_task("writing pictures", total=frames, note="")
        faults = write_dataset(dataset, out, kind, lambda: bars.advance(task))
    _print_faults([*dataset.faults, *faults])
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{frames - len(faults):,} pictures, {out / LABELS_FILES[kind]}", markup=False)


@data_app.command()
def frames(
    recording: Annotated[
        Path, typer.Argument(help="A recording, a video, or a folder with these or with pictures.")
    ],
    out: Annotated[Path, typer.Argument(help="The folder to make.")],
    count: Annotated[int, typer.Option(min=1, help="The most pictures.")] = 50,
    bundle: Annotated[
        Path | None, typer.Option(help="The bundle that judges; the default one if none is given.")
    ] = None,
    topic: Annotated[
        str | None, typer.Option(help="Image topic, where a recording has several.")
    ] = None,
    fps: Annotated[float, typer.Option(help="Frames per second where nothing says it.")] = 30.0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Take the pictures that teach most out of recordings, with a table to fill in."""
    from polymorph_ros.annotation.excerpt import MOST_FRAMES, write_excerpt
    from polymorph_ros.annotation.footage import open_footage
    from polymorph_ros.annotation.vision import BundleEye
    from polymorph_ros.bundle.reader import default_bundle
    from polymorph_ros.progress import progress_bar

    footage = open_footage([recording], topic=topic, fps=fps)
    eye = BundleEye(str(bundle or default_bundle()), device)
    with progress_bar() as bars:
        total = min(footage.frames, MOST_FRAMES)
        task = bars.add_task("looking at frames", total=total, note="")
        excerpt = write_excerpt(footage, eye, out, count, lambda: bars.advance(task))
    _print_faults([*footage.faults, *excerpt.faults])
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{excerpt.pictures} pictures; fill in {excerpt.table}", markup=False)


def _print_faults(faults: Sequence[Fault]) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for fault in faults:
        console.print(f"left out: {fault.where}: {fault.reason}", style="yellow", markup=False)


def _open_all(dataset: Dataset) -> PictureSurvey:
    from polymorph_ros.data.picture_survey import survey_pictures
    from polymorph_ros.progress import progress_bar

    frames = sum(len(sequence) for sequence in dataset.sequences)
    with progress_bar() as bars:
        task = bars.add_task("opening pictures", total=frames, note="")
        return survey_pictures(dataset, lambda: bars.advance(task))
