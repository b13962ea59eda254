"""Discovery: how long after a label appears it is called active."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Discovery:
    """Delays over all appearances of labels.

    Attributes:
        appearances: runs of a label in the truth whose first frame is known to be the first.
        missed: those in which the label was never active.
        mean_s, p50_s, p95_s: delay of those that were found, seconds; NaN if none was.
    """

    appearances: int
    missed: int
    mean_s: float
    p50_s: float
    p95_s: float


def sequence_delays(
    active: NDArray[np.bool_], truth: NDArray[np.int8], stamps_s: NDArray[np.float64]
) -> list[float]:
    """Delay of each appearance in one sequence, seconds; infinite for those never found.

    A run of a label lasts while it is known to be present. One that begins after unknown frames
    does not count: when it began is unknown. At the sequence's first frame it does.

    Args:
        active: (frames, labels).
        truth: int8 (frames, labels).
        stamps_s: (frames,), ascending.
    """
    delays: list[float] = []
    before = np.zeros_like(truth[:1])
    starts = (truth == 1) & (np.concatenate([before, truth[:-1]]) == 0)
    for frame, label in np.argwhere(starts).tolist():
        column = truth[frame:, label] == 1
        length = len(column) if column.all() else int(np.argmin(column))
        found = active[frame : frame + length, label]
        first = frame + int(np.argmax(found))
        delays.append(float(stamps_s[first] - stamps_s[frame]) if found.any() else float("inf"))
    return delays


def discovery(delays: Iterable[float]) -> Discovery:
    """Sum up the delays of all sequences."""
    every = np.array(list(delays), dtype=np.float64)
    found = every[np.isfinite(every)]
    if not len(found):
        nan = float("nan")
        return Discovery(len(every), len(every), nan, nan, nan)
    middle, late = np.percentile(found, (50, 95)).tolist()
    return Discovery(len(every), len(every) - len(found), float(found.mean()), middle, late)
