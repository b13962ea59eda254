"""How well a bundle tells unknown scenes from known ones (out-of-distribution detection).

    build/venv/bin/python benchmarks/unknown_scenes.py BUNDLE DATA… [--known DATA] [--json PATH]

docs/unknown-scenes.md says what came out.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from parts.clips import labelled_clips, synthetic_clips
from parts.unknown_scene_detection import Detection, detection, distances, disturbed
from polymorph_ros.bundle.reader import read_bundle
from polymorph_ros.cli.main import run
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import write_json
from polymorph_ros.model.polymorph import PolymorphModel


def main(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    unlike: Annotated[
        list[Path] | None, typer.Argument(help="Data sets of places that it was not trained for.")
    ] = None,
    known: Annotated[
        Path | None,
        typer.Option(help="A held-out data set of known places; else synthetic scenes."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Synthetic scenes, 50 frames each.")] = 60,
    seed: Annotated[int, typer.Option(help="Of the synthetic scenes and of disturbances.")] = 7,
    every: Annotated[int, typer.Option(min=1, help="Disturb each so many-th known sequence.")] = 8,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "cpu",
    json: Annotated[Path | None, typer.Option(help="Rows go here.")] = None,
) -> None:
    """Take the distance of known, unlike and disturbed pictures."""
    opened = read_bundle(bundle)
    entry = opened.manifest.unknown_scene
    if entry is None:
        raise PolymorphError(
            "a bundle that detects unknown scenes", "one that does not",
            where=str(bundle), remedy="train it again",
        )  # fmt: skip
    model = PolymorphModel.from_bundle(opened, device)
    if known is None:
        familiar = list(synthetic_clips(model.labels, count, seed))
    else:
        familiar = list(labelled_clips(known))
    base = distances(model, familiar)
    rows = [detection("known (held out)", familiar, base, None, entry.threshold)]
    known_distances = np.concatenate(base)
    kinds = [(path.name, list(labelled_clips(path))) for path in unlike or []]
    for name, some in (*kinds, *disturbed(familiar[::every], seed)):
        found = distances(model, some)
        rows.append(detection(name, some, found, known_distances, entry.threshold))
    Console().print(_table(rows))
    if json:
        write_json(json, [asdict(row) for row in rows])


def _table(rows: list[Detection]) -> Table:
    table = Table("pictures", "count", "AUROC", "unknown", "alarms / min", "median / threshold")
    for row in rows:
        table.add_row(
            row.data,
            str(row.pictures),
            f"{row.auroc:.3f}" if row.auroc == row.auroc else "-",
            f"{row.unknown:.1%}",
            f"{row.alarms_per_minute:.1f}",
            f"{row.median:.2f}",
        )
    return table


if __name__ == "__main__":
    run(main)
