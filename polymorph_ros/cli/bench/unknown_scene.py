"""``polymorph bench unknown-scene``: how well a bundle tells unknown scenes from known ones."""

from __future__ import annotations

import json as json_text
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table


def unknown_scene(
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
    import numpy as np

    from polymorph_ros.bundle.reader import read_bundle
    from polymorph_ros.data.dataset import Fault
    from polymorph_ros.data.open_dataset import open_dataset
    from polymorph_ros.errors import PolymorphError
    from polymorph_ros.evaluation.clips import synthetic_clips
    from polymorph_ros.evaluation.unknown_scene import (
        Stream,
        detection,
        distances,
        disturbed,
    )
    from polymorph_ros.model.polymorph import PolymorphModel

    def streams_of(path: Path) -> list[Stream]:
        streams = []
        for sequence in open_dataset(path).sequences:
            stamps = (round(stamp_s * 1e9) for stamp_s in sequence.track.stamps_s.tolist())
            read = zip(stamps, sequence.pictures.read(), strict=True)
            sound = [(stamp, one) for stamp, one in read if not isinstance(one, Fault)]
            if sound:
                stamps_ns, pictures = zip(*sound, strict=True)
                streams.append(Stream(stamps_ns, pictures))
        return streams

    opened = read_bundle(bundle)
    entry = opened.manifest.unknown_scene
    if entry is None:
        raise PolymorphError(
            "a bundle that knows its scenes", "one that does not",
            where=str(bundle), remedy="train it again",
        )  # fmt: skip
    model = PolymorphModel.from_bundle(opened, device)
    if known is not None:
        familiar = streams_of(known)
    else:
        drawn = synthetic_clips(model.labels, count, seed)
        familiar = [
            Stream(
                tuple(frame.stamp_ns for frame in clip.frames),
                tuple(frame.image for frame in clip.frames),
            )
            for clip in drawn
        ]
    base = distances(model, familiar)
    rows = [detection("known (held out)", familiar, base, None, entry.threshold)]
    known_distances = np.concatenate(base)
    kinds = [(path.name, streams_of(path)) for path in unlike or []]
    for name, some in (*kinds, *disturbed(familiar[::every], seed)):
        found = distances(model, some)
        rows.append(detection(name, some, found, known_distances, entry.threshold))
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
    Console().print(table)
    if json:
        json.write_text(json_text.dumps([asdict(row) for row in rows], indent=1) + "\n")
