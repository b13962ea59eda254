"""Labelled frames on disk: what every stage of training reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.dataset import Fault
from polymorph_ros.data.track import Track
from polymorph_ros.files import write_json
from polymorph_ros.training.artifacts import Artifact, GraphStage, Planned
from polymorph_ros.training.cost import FRAME_S, StageCost
from polymorph_ros.training.rows import Row

_ABOUT_FILE = "about.json"
_ARRAYS = ("images", "truth", "sequence", "stamps_s")


@dataclass(frozen=True)
class LabelledFrames:
    """Frames with their truth, sequence after sequence; the arrays are memory-mapped.

    Attributes:
        images: uint8 RGB of shape (frames, height, width, 3).
        truth: int8 of shape (frames, labels): 1 present, 0 absent, -1 unknown.
        sequence: int32 of shape (frames,), ascending.
        stamps_s: float64 of shape (frames,), seconds, ascending within a sequence.
        patches: uint8 of shape (frames, rows, columns): label index + 1 of what each cell of a
            coarse grid shows, 0 for none of the labels; None where nobody knows it.
    """

    images: NDArray[np.uint8]
    truth: NDArray[np.int8]
    sequence: NDArray[np.int32]
    stamps_s: NDArray[np.float64]
    patches: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.truth)

    def tracks(self) -> list[Track]:
        """The truth of each sequence."""
        return [Track(self.truth[part], self.stamps_s[part]) for part in self.slices()]

    def slices(self) -> list[slice]:
        """Where each sequence begins and ends."""
        cuts = np.flatnonzero(np.diff(self.sequence)) + 1
        bounds = [0, *cuts.tolist(), len(self)]
        return [slice(first, last) for first, last in pairwise(bounds)]

    def first(self, count: int) -> LabelledFrames:
        """The first whole sequences of about so many frames; one sequence at least."""
        ends = [part.stop for part in self.slices()]
        end = max([ends[0], *(end for end in ends if end <= count)])
        patches = None if self.patches is None else self.patches[:end]
        return LabelledFrames(
            self.images[:end], self.truth[:end], self.sequence[:end], self.stamps_s[:end], patches
        )

    def in_vocabulary(self, have: tuple[str, ...], wanted: tuple[str, ...]) -> LabelledFrames:
        """The same frames with the truth of other labels (``in_vocabulary``)."""
        return replace(self, truth=in_vocabulary(self.truth, have, wanted))


def in_vocabulary(
    truth: NDArray[np.int8], have: tuple[str, ...], wanted: tuple[str, ...]
) -> NDArray[np.int8]:
    """The truth of the wanted labels, (frames, wanted); unknown for those it does not have.

    Args:
        truth: (frames, have).
    """
    places = {name: column for column, name in enumerate(have)}
    known = np.pad(truth, ((0, 0), (0, 1)), constant_values=-1)  # the last column is unknown
    return np.ascontiguousarray(known[:, [places.get(name, -1) for name in wanted]])


@dataclass(frozen=True)
class About:
    """What frames on disk are of.

    Attributes:
        vocabulary: the labels, a column of the truth each.
        faults: what was left out, and why.
    """

    vocabulary: tuple[str, ...]
    faults: tuple[Fault, ...] = ()


def frame_rows(
    height: int, width: int, labels: int, cells: tuple[int, int] | None = None
) -> dict[str, Row]:
    """The arrays of a folder of labelled frames; ``cells``: rows and columns of ``patches``."""
    rows = {
        "images": Row(np.uint8, (height, width, 3)),
        "truth": Row(np.int8, (labels,)),
        "sequence": Row(np.int32),
        "stamps_s": Row(np.float64),
    }
    return rows | ({"patches": Row(np.uint8, cells)} if cells else {})


def save_about(folder: Path, about: About) -> None:
    """Write beside the arrays what they are of."""
    faults = [[fault.where, fault.reason] for fault in about.faults]
    write_json(folder / _ABOUT_FILE, {"vocabulary": about.vocabulary, "faults": faults})


def load_about(folder: Path) -> About:
    """What the frames of a folder are of."""
    document = json.loads((folder / _ABOUT_FILE).read_text(encoding="utf-8"))
    faults = tuple(Fault(where, reason) for where, reason in document["faults"])
    return About(tuple(document["vocabulary"]), faults)


def load_frames(folder: Path) -> LabelledFrames:
    """Map the arrays of a folder of labelled frames."""
    patches = folder / "patches.npy"
    return LabelledFrames(
        **{name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS},
        patches=np.load(patches, mmap_mode="r") if patches.is_file() else None,
    )


class FrameStage(GraphStage, Protocol):
    """A stage that writes labelled frames."""

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The labels of the truth, before rare ones are left out."""
        ...

    @property
    def frame_count(self) -> int:
        """How many frames there are, if all can be read."""
        ...


def vocabulary_of(frames: Artifact) -> tuple[str, ...]:
    """The labels of frames; those of the source while the frames are only planned."""
    if isinstance(frames, Planned):
        return cast(FrameStage, frames.stage).vocabulary
    return load_about(frames.folder).vocabulary


def count_frames(frames: Artifact) -> int:
    """How many frames there are; those of the source while they are only planned."""
    if isinstance(frames, Planned):
        return cast(FrameStage, frames.stage).frame_count
    return len(load_frames(frames.folder))


def frames_cost(rows: Mapping[str, Row], count: int) -> StageCost:
    """What it costs to write so many frames."""
    size = count * sum(row.size for row in rows.values())
    return StageCost(frames=count, size=size, seconds=count * FRAME_S)
