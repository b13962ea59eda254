"""Labelled frames on disk: what every stage of training reads."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.track import Track


@dataclass(frozen=True)
class LabelledFrames:
    """Frames with their truth, sequence after sequence; the arrays are memory-mapped.

    Attributes:
        images: uint8 RGB of shape (frames, height, width, 3).
        truth: int8 of shape (frames, labels): 1 present, 0 absent, -1 unknown.
        patches: uint8 of shape (frames, rows, columns): label index + 1 of what each cell of a
            coarse grid shows, 0 for none of the labels.
        sequence: int32 of shape (frames,), ascending.
        stamps_s: float64 of shape (frames,), seconds, ascending within a sequence.
    """

    images: NDArray[np.uint8]
    truth: NDArray[np.int8]
    patches: NDArray[np.uint8]
    sequence: NDArray[np.int32]
    stamps_s: NDArray[np.float64]

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


ARRAYS = ("images", "truth", "patches", "sequence", "stamps_s")


def load_frames(folder: Path) -> LabelledFrames:
    """Map the arrays of a folder that ``render`` or an importer wrote."""
    return LabelledFrames(
        **{name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
    )
