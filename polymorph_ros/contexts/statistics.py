"""Label statistics: how labels come and go in time.

Truth is int8 of shape (frames, labels): 1 present, 0 absent, -1 unknown. Unknown is never
counted as absent: it is left out of rates and shares.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.track import Track

# A weak prior for rates: as if each label had changed once in this time, so that labels seen
# little get a finite, moderate rate.
_PSEUDO_SECONDS = 20.0
_RATES_HZ = np.geomspace(1e-4, 1e3, 281)[:, None]  # what is tried, 6 % apart
_GAPS_PER_E = 20.0  # gaps that differ by less than 5 % are taken as one
_SHORTEST_S = 1e-6


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

    @property
    def rate_hz(self) -> NDArray[np.float64]:
        """Appearing and vanishing together, changes per second."""
        return self.appear_hz + self.vanish_hz


def dynamics(tracks: Sequence[Track]) -> Dynamics:
    """Learn presence and rates of change from neighbouring known frames, whatever lies between.

    Each label is a two-state process whose share of time is its share of known frames: scores are
    calibrated on frames, so a belief that knows nothing has to come back to what they start from.
    Its rate of change is the likeliest for the changes seen over each gap.
    """
    columns = tracks[0].truth.shape[1]
    frames, known = np.ones(columns), np.full(columns, 2.0)
    for track in tracks:
        frames += (track.truth == 1).sum(axis=0)
        known += (track.truth >= 0).sum(axis=0)
    prior = frames / known
    likelihood = np.log(_RATES_HZ) - _RATES_HZ * _PSEUDO_SECONDS + np.zeros(columns)
    for gap_s, (absent, present, changed) in _by_gap(tracks).items():
        renewed = -np.expm1(-_RATES_HZ * gap_s)
        likelihood += absent * np.log1p(-prior * renewed)
        likelihood += present * np.log1p(-(1.0 - prior) * renewed)
        likelihood += changed * np.log(renewed)
    rate_hz = _RATES_HZ[likelihood.argmax(axis=0), 0]
    return Dynamics(prior, prior * rate_hz, (1.0 - prior) * rate_hz)


def _by_gap(tracks: Sequence[Track]) -> dict[float, NDArray[np.int64]]:
    """How often each label stayed absent, stayed present and changed, (3, labels), by the gap."""
    counts: dict[int, NDArray[np.int64]] = {}
    for track in tracks:
        gaps = np.diff(track.stamps_s)
        bins = np.round(np.log(np.maximum(gaps, _SHORTEST_S)) * _GAPS_PER_E).astype(np.int64)
        before, after = track.truth[:-1], track.truth[1:]
        known = (before >= 0) & (after >= 0) & (gaps > 0.0)[:, None]
        cases = (
            known & (before == 0) & (after == 0),
            known & (before == 1) & (after == 1),
            known & (before != after),
        )
        for number in np.unique(bins).tolist():
            rows = bins == number
            found = np.stack([case[rows].sum(axis=0) for case in cases])
            counts[number] = counts.get(number, 0) + found
    return {math.exp(number / _GAPS_PER_E): count for number, count in counts.items()}
