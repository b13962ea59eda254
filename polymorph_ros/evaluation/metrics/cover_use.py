"""How many adapters run, and how often the set of them changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class CoverUse:
    """Adapters per frame, and changes of their set per minute of video (NaN without duration)."""

    adapters_per_frame: float
    changes_per_minute: float


def cover_use(
    adapters: Sequence[NDArray[np.int64]],
    changes: Sequence[NDArray[np.bool_]],
    durations_s: Sequence[float],
) -> CoverUse:
    """Sum up sequences.

    Args:
        adapters: how many ran for each frame, an array (frames,) per sequence.
        changes: whether the set differs from the frame before, likewise; the first frame of a
            sequence does not count.
        durations_s: of each sequence, seconds.
    """
    minutes = sum(durations_s) / 60.0
    changed = sum(int(np.count_nonzero(sequence[1:])) for sequence in changes)
    return CoverUse(
        adapters_per_frame=float(np.concatenate(adapters).mean()) if adapters else float("nan"),
        changes_per_minute=changed / minutes if minutes > 0 else float("nan"),
    )
