"""The order in which frames teach most: uncertain and unknown ones first, never two alike.

Frames that look alike form a group, which one of them speaks for. The representatives are ordered
by greedy k-centre (farthest-first traversal: Gonzalez, 1985; as active learning: Sener and
Savarese, ICLR 2018), with each distance weighted by how little the model knows of the frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polymorph_ros.arrays import Floats, Indices, Mask
from polymorph_ros.errors import PolymorphError
from polymorph_ros.runtime.views import ALIKE, worth


@dataclass(frozen=True)
class Ranking:
    """Frames in the order in which they teach most.

    Attributes:
        order: int64 (frames,), every frame once: first one for each group without labels, then
            the rest in the given order.
        groups: int64 (frames,), the number of each frame's group of near-identical frames,
            from 0 in order of appearance.
        fresh: how many of ``order`` stand for a group of their own.
    """

    order: Indices
    groups: Indices
    fresh: int


def rank_frames(
    features: Floats,
    uncertainty: Floats,
    unknown: Mask,
    labelled: Mask | None = None,
    alike: float = ALIKE,
) -> Ranking:
    """Rank frames by what labelling them would teach.

    Args:
        features: finite, of shape (frames, D), float32 or float64; only directions count.
        uncertainty: of shape (frames,), in [0, 1]: 0 where the model is sure of every label.
        unknown: bool (frames,), whether the model takes the frame for an unknown scene.
        labelled: bool (frames,), frames that have labels already; their groups come last, and
            what is like them comes late.
        alike: distance of unit vectors, in [0, 2], up to which frames are near-identical.

    Raises:
        PolymorphError: the shapes do not fit, or a value is not finite.

    >>> corner = np.array([[1.0, 0.0], [1.0, 0.001], [0.0, 1.0]])
    >>> rank_frames(corner, np.array([0.5, 0.1, 0.2]), np.array([False, False, True])).order
    array([2, 0, 1])
    """
    seen = np.zeros(len(features), bool) if labelled is None else labelled
    _check(features, uncertainty, unknown, seen)
    units = _unit(features)
    groups = near_identical(units, alike)
    weights = worth(np.clip(uncertainty, 0.0, 1.0), unknown)
    chosen = _representatives(groups, weights, seen)
    first = chosen[_farthest_first(units[chosen], weights[chosen], units[seen])]
    rest = np.setdiff1d(np.arange(len(units)), first)
    order = np.concatenate([first, rest]).astype(np.int64)
    return Ranking(order, groups, len(first))


def near_identical(features: Floats, alike: float = ALIKE) -> Indices:
    """Group frames that look alike.

    Each frame joins the nearest group whose first frame is within the distance, or starts one.

    Args:
        features: of shape (frames, D); only directions count.
        alike: distance of unit vectors.

    Returns:
        int64 (frames,), the number of each frame's group, from 0 in order of appearance.

    >>> near_identical(np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.01]]))
    array([0, 1, 0])
    """
    units = _unit(features)
    leaders = np.empty_like(units)
    count = 0
    groups = np.empty(len(units), np.int64)
    closest = 1.0 - alike * alike / 2.0  # |a - b|² = 2 - 2 a·b
    for frame, unit in enumerate(units):
        likeness = leaders[:count] @ unit
        nearest = int(likeness.argmax()) if count else 0
        if not count or likeness[nearest] < closest:
            leaders[count] = unit
            nearest, count = count, count + 1
        groups[frame] = nearest
    return groups


def _representatives(groups: Indices, weights: Floats, seen: Mask) -> Indices:
    """Of each group without labels its weightiest frame; of equals the first."""
    by_weight = np.lexsort((np.arange(len(groups)), -weights))
    _, first = np.unique(groups[by_weight], return_index=True)
    best = by_weight[first]
    return np.sort(best[~np.isin(groups[best], groups[seen])])


def _farthest_first(units: Floats, weights: Floats, seen: Floats) -> Indices:
    """Greedy k-centre: always the one whose weighted distance to all before it is largest."""
    gaps = np.full(len(units), 2.0)
    for centre in seen:
        gaps = np.minimum(gaps, _distances(units, centre))
    left = np.ones(len(units), bool)
    order = np.empty(len(units), np.int64)
    for place in range(len(units)):
        best = int(np.where(left, gaps * weights, -1.0).argmax())
        order[place] = best
        left[best] = False
        gaps = np.minimum(gaps, _distances(units, units[best]))
    return order


def _distances(units: Floats, centre: Floats) -> Floats:
    likeness: Floats = units @ centre
    return np.sqrt(np.maximum(2.0 - 2.0 * likeness, 0.0))


def _unit(features: Floats) -> Floats:
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    units: Floats = features / np.maximum(norms, 1e-12)
    return units


def _check(features: Floats, uncertainty: Floats, unknown: Mask, labelled: Mask) -> None:
    if features.ndim != 2:
        raise PolymorphError("features of shape (frames, D)", f"{features.shape}", where="features")
    shape = (len(features),)
    rows = (("uncertainty", uncertainty), ("unknown", unknown), ("labelled", labelled))
    for name, values in rows:
        if values.shape != shape:
            raise PolymorphError(f"shape {shape}", f"{values.shape}", where=name)
    for name, values in (("features", features), ("uncertainty", uncertainty)):
        if not np.isfinite(values).all():
            raise PolymorphError("finite values", "others", where=name)
