"""What is true in one sequence, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Track:
    """The truth of one sequence.

    Attributes:
        truth: int8 of shape (frames, labels): 1 present, 0 absent, -1 unknown.
        stamps_s: float64 of shape (frames,), seconds, ascending.
        name: the sequence's name.
    """

    truth: NDArray[np.int8]
    stamps_s: NDArray[np.float64]
    name: str = ""
