"""The pictures of recordings that teach most, as files with a table to fill in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polymorph_ros.annotation.footage import Footage, spread_frames
from polymorph_ros.annotation.ranking import rank_frames
from polymorph_ros.annotation.vision import Eye, Look
from polymorph_ros.data.dataset import Fault
from polymorph_ros.data.export import folder_names, label_csv_text, write_jpeg
from polymorph_ros.data.label_csv import LabelRow
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import new_folder, write_text

MOST_FRAMES = 2_000
"""Frames that are looked at, spread over all recordings."""


@dataclass(frozen=True)
class Excerpt:
    """What was written.

    Attributes:
        table: the table to fill in, with the picture that teaches most in its first row.
        pictures: how many there are.
        faults: frames that could not be read.
    """

    table: Path
    pictures: int
    faults: tuple[Fault, ...]


def write_excerpt(
    footage: Footage, eye: Eye, out: Path, count: int, advance: Callable[[], None] = lambda: None
) -> Excerpt:
    """Choose pictures and write them with a table whose cells of labels are empty.

    Args:
        footage: the recordings.
        eye: looks at frames.
        out: the folder to make.
        count: the most pictures; of near-identical ones there is one, so there may be fewer.
        advance: called for each frame that is looked at.

    Raises:
        PolymorphError: the folder exists or cannot be written, or no frame can be read.
    """
    if count < 1:
        raise PolymorphError("1 picture or more", str(count), where="count")
    with new_folder(out) as folder:
        keys, looks, faults = _look(footage, eye, advance)
        ranking = rank_frames(
            np.stack([look.features for look in looks]).astype(np.float64),
            np.array([look.uncertainty for look in looks]),
            np.array([look.unknown for look in looks], bool),
        )
        chosen = [keys[place] for place in ranking.order[: min(count, ranking.fresh)].tolist()]
        rows = _write_pictures(footage, chosen, folder)
        write_text(folder / "labels.csv", label_csv_text(rows))
    return Excerpt(out / "labels.csv", len(rows), tuple(faults))


def _look(
    footage: Footage, eye: Eye, advance: Callable[[], None]
) -> tuple[list[tuple[int, int]], list[Look], list[Fault]]:
    """Frames all over the footage in the order of time, and what is known of each."""
    keys: list[tuple[int, int]] = []
    looks: list[Look] = []
    faults: list[Fault] = []
    for key in sorted(spread_frames(footage, MOST_FRAMES)):
        picture = footage.clips[key[0]].pictures.read(key[1])
        if isinstance(picture, Fault):
            faults.append(picture)
        else:
            keys.append(key)
            looks.append(eye.look(picture))
        advance()
    if not looks:
        found = f"{faults[0].where}: {faults[0].reason}" if faults else "none"
        raise PolymorphError("a picture that can be read", found, where=str(footage.place))
    return keys, looks, faults


def _write_pictures(
    footage: Footage, chosen: list[tuple[int, int]], folder: Path
) -> list[LabelRow]:
    names = folder_names([clip.name for clip in footage.clips])
    rows = []
    for clip_number, number in chosen:
        clip, name = footage.clips[clip_number], names[clip_number]
        picture = clip.pictures.read(number)
        if isinstance(picture, Fault):
            continue
        stamp_s = float(clip.stamp_text(number))
        (folder / name).mkdir(parents=True, exist_ok=True)
        file = f"{name}/{write_jpeg(folder / name, stamp_s, picture).name}"
        rows.append(LabelRow(file, (), (), file, clip.name, stamp_s))
    return rows
