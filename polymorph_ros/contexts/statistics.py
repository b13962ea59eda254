"""Label statistics: how labels come and go in time.

Truth is int8 of shape (frames, labels): 1 present, 0 absent, -1 unknown. Unknown is never
counted as absent: it is left out of rates and shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.arrays import Floats
from polymorph_ros.data.track import Track

# A weak prior for rates: as if each label had been observed this long in either state and had
# changed once, so that labels seen little get a finite, moderate rate.
_PSEUDO_SECONDS = 20.0

# Two probabilities of changing that together are more than this are taken for this much: a
# process in continuous time, looked at in steps, cannot change more often than not.
_MOST_CHANGE = 0.95


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
    """Learn presence and rates of change, by elapsed seconds, from neighbouring known frames.

    Between two frames a label may have come and gone. So the rates are those under which changes
    are seen as often as they were: a belief that relaxes by them from frame to frame is right.
    """
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
    appear_hz, vanish_hz = _continuous(
        changes[0] / seconds[0], changes[1] / seconds[1], _step_s(tracks)
    )
    return Dynamics(frames / known, appear_hz, vanish_hz)


def _step_s(tracks: Sequence[Track]) -> float:
    """Mean seconds between neighbouring frames."""
    steps = sum(len(track.stamps_s) - 1 for track in tracks)
    return sum(float(track.stamps_s[-1] - track.stamps_s[0]) for track in tracks) / max(1, steps)


def _continuous(appear_hz: Floats, vanish_hz: Floats, step_s: float) -> tuple[Floats, Floats]:
    """Rates in continuous time from changes per second that were seen in steps of some seconds.

    In a step both changes together have the probability ``1 - exp(-(appear + vanish) step)``,
    shared out as the rates are.
    """
    seen = np.maximum((appear_hz + vanish_hz) * step_s, 1e-9)  # the factor is 1 for short steps
    more = -np.log1p(-np.minimum(seen, _MOST_CHANGE)) / seen
    return appear_hz * more, vanish_hz * more
