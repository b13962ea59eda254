"""Label statistics: how labels come and go in time.

Truth is int8 of shape (frames, labels): 1 present, 0 absent, -1 unknown. Unknown is never
counted as absent: it is left out of rates and shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.track import Track

# A weak prior for rates: as if each label had been watched this long in either state and had
# changed once, so that labels seen little get a finite, moderate rate.
_PSEUDO_SECONDS = 20.0


@dataclass(frozen=True)
class Dynamics:
    """How labels (or contexts) come and go; each of shape (n,).

    Attributes:
        prior: share of known frames in which each is present, inside (0, 1).
        appear_hz: changes to present per second of absence.
        vanish_hz: changes to absent per second of presence.
    """

    prior: NDArray[np.float64]
    appear_hz: NDArray[np.float64]
    vanish_hz: NDArray[np.float64]


def dynamics(tracks: Sequence[Track]) -> Dynamics:
    """Learn presence and rates of change, by elapsed seconds, from neighbouring known frames."""
    columns = tracks[0].truth.shape[1]
    frames, known = np.ones(columns), np.full(columns, 2.0)
    seconds = {state: np.full(columns, _PSEUDO_SECONDS) for state in (0, 1)}
    changes = {state: np.ones(columns) for state in (0, 1)}
    for track in tracks:
        frames += (track.truth == 1).sum(axis=0)
        known += (track.truth >= 0).sum(axis=0)
        before, after = track.truth[:-1], track.truth[1:]
        elapsed = np.diff(track.stamps_s)[:, None] * ((before >= 0) & (after >= 0))
        for state in (0, 1):
            seconds[state] += (elapsed * (before == state)).sum(axis=0)
            changes[state] += ((before == state) & (after == 1 - state)).sum(axis=0)
    return Dynamics(frames / known, changes[0] / seconds[0], changes[1] / seconds[1])
