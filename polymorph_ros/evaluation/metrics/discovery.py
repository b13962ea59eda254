"""Discovery: how long after a label appears it is called active."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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


@dataclass(frozen=True)
class Appearance:
    """A run of a label in the truth, all counted in frames.

    Attributes:
        first: the run's first frame.
        frames: its length.
        delay: frames until the label is active; the run's length if it never is.
    """

    first: int
    frames: int
    delay: int


def appearances(active: NDArray[np.bool_], truth: NDArray[np.int8]) -> Iterator[Appearance]:
    """The runs of all labels that begin after frames in which they are known to be absent.

    Args:
        active, truth: (frames, labels).
    """
    before = np.zeros_like(truth[:1])
    starts = (truth == 1) & (np.concatenate([before, truth[:-1]]) == 0)
    for first, label in np.argwhere(starts).tolist():
        column = truth[first:, label] == 1
        frames = len(column) if column.all() else int(np.argmin(column))
        found = active[first : first + frames, label]
        yield Appearance(first, frames, int(np.argmax(found)) if found.any() else frames)


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
    return [
        float(stamps_s[one.first + one.delay] - stamps_s[one.first])
        if one.delay < one.frames
        else float("inf")
        for one in appearances(active, truth)
    ]


def discovery(delays: Iterable[float]) -> Discovery:
    """Sum up the delays of all sequences."""
    every = np.array(list(delays), dtype=np.float64)
    found = every[np.isfinite(every)]
    if not len(found):
        nan = float("nan")
        return Discovery(len(every), len(every), nan, nan, nan)
    middle, late = np.percentile(found, (50, 95)).tolist()
    return Discovery(len(every), len(every) - len(found), float(found.mean()), middle, late)
