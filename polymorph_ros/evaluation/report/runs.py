"""Stretches of time in which something holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def runs(holds: NDArray[np.bool_], edges_s: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Begin and end of every stretch, seconds.

    Args:
        holds: (frames,).
        edges_s: (frames + 1,), where each frame begins and the last one ends.
    """
    change = np.diff(np.concatenate([[0], holds.astype(np.int8), [0]]))
    starts, ends = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
    return list(zip(edges_s[starts].tolist(), edges_s[ends].tolist(), strict=True))


def frame_edges(stamps_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where each frame begins and the last one ends, (frames + 1,); a frame lasts to the next."""
    last = float(np.median(np.diff(stamps_s))) if len(stamps_s) > 1 else 1.0
    return np.append(stamps_s, stamps_s[-1] + last)
