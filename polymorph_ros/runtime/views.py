"""Views that teach: how uncertain a frame is, and which views to keep of those seen so far.

A view is a unit vector in the direction of the trunk's pooled feature. The distance of two views
is that of their vectors, from 0 to 2.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.arrays import Floats, Mask

Feature = NDArray[np.float32]

ALIKE = 0.1
"""Distance of two views up to which they count as the same.

With the shipped backbone the noise of a camera makes 0.015, a tenth more light 0.06.
"""

_ALIKE_SHARE = 0.18  # of the usual distance; with the shipped backbone that makes ALIKE
_ALIKE_WITHIN = (0.02, 0.3)  # where nothing moves, the usual distance is that of noise
_COMPARED = 200  # views, for the usual distance
_LEAST_SURE = 3  # labels
_LEAST_WORTH = 0.25  # of a frame that the model is sure of, beside 1 of one it knows nothing of
_UNKNOWN_BONUS = 0.5  # an unknown scene goes before the most uncertain known one
_RECENT = 600  # frames whose uncertainty a frame is compared with
_TOP_SHARE = 0.1
_FEW = 30  # recent frames below which nothing is known of what is usual


def uncertainty(scores: NDArray[np.float32]) -> float:
    """How unsure a bundle is of a frame: the mean entropy of its least sure labels, in [0, 1].

    Args:
        scores: beliefs of shape (labels,), in [0, 1]; of none, nothing is known.

    >>> uncertainty(np.array([0.5, 0.5, 0.5, 0.0], np.float32))
    1.0
    """
    chances = np.clip(scores.astype(np.float64), 1e-9, 1.0 - 1e-9)
    bits = -chances * np.log2(chances) - (1.0 - chances) * np.log2(1.0 - chances)
    return float(np.sort(bits)[-_LEAST_SURE:].mean()) if len(bits) else 1.0


def worth(uncertainty: Floats | float, unknown: Mask | bool) -> Floats:
    """What a frame is worth beside others at the same distance: the less is known, the more.

    Args:
        uncertainty: of it, in [0, 1].
        unknown: whether its scene is unknown.

    Returns:
        above 0, of the shape of both.
    """
    sure = 1.0 - np.asarray(uncertainty)
    return 1.0 - (1.0 - _LEAST_WORTH) * sure + _UNKNOWN_BONUS * np.asarray(unknown)


class UncertainFrames:
    """Finds the frames of one camera that are among its most uncertain tenth."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=_RECENT)

    def take(self, value: float) -> bool:
        """Whether a frame of this uncertainty is among them; it counts as usual afterwards."""
        recent = np.array(self._recent)
        self._recent.append(value)
        if len(recent) < _FEW:
            return value > 0.5
        return value > float(np.quantile(recent, 1.0 - _TOP_SHARE))


def usual_distance(features: Floats) -> float:
    """How far two frames are from each other: the median over pairs, of unit vectors.

    What counts as near depends on the features: those of one backbone lie closer than another's.

    Args:
        features: of shape (frames, D); at most some 200 frames of them are compared.
    """
    some = features[:: max(1, len(features) // _COMPARED)]
    units = some / np.maximum(np.linalg.norm(some, axis=1, keepdims=True), 1e-12)
    pairs = np.triu_indices(len(units), 1)
    if not len(pairs[0]):
        return 0.0
    likeness = (units @ units.T)[pairs]
    return float(np.median(np.sqrt(np.maximum(2.0 - 2.0 * likeness, 0.0))))


class AlikeDistance:
    """The distance up to which two views count as the same, by those that came lately.

    The views of one backbone lie closer together than another's. Until a few have come it is
    ``ALIKE``.
    """

    def __init__(self) -> None:
        self._recent: deque[Feature] = deque(maxlen=_COMPARED)
        self.value = ALIKE

    def take(self, feature: Feature | None) -> None:
        """A view has come; it is float32 (D,), as all before it."""
        unit = _unit(feature)
        if unit is None:
            return
        self._recent.append(unit)
        if len(self._recent) >= _FEW:
            usual = usual_distance(np.stack(self._recent).astype(np.float64))
            self.value = float(np.clip(_ALIKE_SHARE * usual, *_ALIKE_WITHIN))


@dataclass
class _View:
    """One view: its place in the table of distances, and what it is worth."""

    row: int
    weight: float
    spared: bool


class ViewSet:
    """Views far from each other, with what each is worth; knows which one is least telling.

    A view without a feature is like no other; it is the first to go.

    Args:
        capacity: the most views at a time.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._views: dict[str, _View] = {}  # in order of addition
        self._units: Feature = np.zeros((0, 0), np.float32)
        self._gaps = np.full((capacity, capacity), np.inf, np.float32)

    def __len__(self) -> int:
        return len(self._views)

    @property
    def full(self) -> bool:
        """Whether another view needs one to go."""
        return len(self._views) >= self._capacity

    def nearest(self, feature: Feature | None) -> float:
        """Distance to the nearest view; infinite where there is none to compare with."""
        unit = _unit(feature)
        if unit is None:
            return np.inf
        gaps = self._distances(unit)
        return float(gaps.min()) if gaps.size else np.inf

    def add(
        self, name: str, feature: Feature | None, weight: float, *, spared: bool = False
    ) -> None:
        """Add a view under a new name.

        Args:
            name: of the view.
            feature: float32 (D,), not zero; None where it is not known.
            weight: above 0; a view of double weight is worth keeping at half the distance.
            spared: whether it goes only when all others have gone.

        Raises:
            ValueError: the set is full.
        """
        if self.full:
            raise ValueError("the set is full")
        rows = {view.row for view in self._views.values()}
        row = next(row for row in range(self._capacity) if row not in rows)
        unit = _unit(feature)
        self._grow(unit)
        self._gaps[row, :] = self._gaps[:, row] = np.inf
        if unit is not None and len(unit) == self._units.shape[1]:
            gaps = self._distances(unit)
            self._gaps[row, : len(gaps)] = self._gaps[: len(gaps), row] = gaps
            self._gaps[row, row] = np.inf
            self._units[row] = unit
        self._views[name] = _View(row, weight, spared)

    def remove(self, name: str) -> None:
        """Forget a view."""
        row = self._views.pop(name).row
        self._gaps[row, :] = self._gaps[:, row] = np.inf
        if len(self._units):
            self._units[row] = 0.0

    def forget_features(self) -> None:
        """Compare no later view with these: their features come from another trunk."""
        self._units = np.zeros((0, 0), np.float32)
        self._gaps[:] = np.inf

    def least_telling(self) -> str:
        """The view whose loss costs least; the oldest of those without a feature first.

        A view is worth its weight times its distance to the nearest other; of two that are worth
        the same, the one whose second neighbour is nearer goes, else the older.

        Raises:
            ValueError: there is none.
        """
        return min(self._views, key=lambda name: self._worth(self._views[name]))

    def _worth(self, view: _View) -> tuple[bool, float, float]:
        known = len(self._units) > 0 and bool(self._units[view.row].any())
        if not known:
            return view.spared, -1.0, 0.0
        first, second = np.sort(np.partition(self._gaps[view.row], 1)[:2]).tolist()
        return view.spared, view.weight * first, second

    def _distances(self, unit: Feature) -> Feature:
        """To all rows; infinite to rows without a view."""
        if not len(self._units) or self._units.shape[1] != len(unit):
            return np.zeros(0, np.float32)
        likeness = self._units @ unit
        gaps: Feature = np.sqrt(np.maximum(2.0 - 2.0 * likeness, 0.0))
        gaps[~self._units.any(axis=1)] = np.inf
        return gaps

    def _grow(self, unit: Feature | None) -> None:
        if unit is not None and not len(self._units):
            self._units = np.zeros((self._capacity, len(unit)), np.float32)


def _unit(feature: Feature | None) -> Feature | None:
    if feature is None:
        return None
    norm = float(np.linalg.norm(feature))
    return feature / np.float32(norm) if np.isfinite(norm) and norm > 0.0 else None
