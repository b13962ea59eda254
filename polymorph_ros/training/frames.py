"""Labelled frames on disk: what every stage of training reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.dataset import Fault
from polymorph_ros.data.track import Track
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
    text = json.dumps({"vocabulary": about.vocabulary, "faults": faults}, indent=1)
    (folder / _ABOUT_FILE).write_text(text + "\n", encoding="utf-8")


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
