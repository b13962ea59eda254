"""How likely two labels are to be seen together, also where few or no frames show both.

Several estimates are mixed: pairs seen in one frame (by the number of sequences that show them:
what one sequence shows may be chance), pairs seen within seconds, pairs of one sequence, friends of
friends, independence, and any pair at all. How much each counts is learned by deleted
interpolation (Jelinek and Mercer 1980): the mixture under which the pairs of sequences that were
left out are likeliest, found by expectation maximisation.

Shares are of the frames in which both labels are known: unknown is not absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.arrays import Floats
from polymorph_ros.contexts.label_sets import LabelSets, label_sets
from polymorph_ros.contexts.presence import mean_around
from polymorph_ros.data.track import Track

_SEEN_IN = (1, 2, 3, 6)  # lower bounds of the groups of pairs by number of sequences
# Of a pair known in a tenth of the frames each counts ten times; no more, for few prove little.
_MOST = 10.0
_ROUNDS = 100
_SETS_AT_ONCE = 1 << 12


@dataclass(frozen=True)
class _TrackPairs:
    """What one sequence shows of pairs of its labels.

    Attributes:
        labels: the labels that it shows, int64 of shape (n,).
        together: frames with both, each shared out among its pairs, (n, n).
        near: the same of frames within some seconds of each other, (n, n).
        overall: the same if labels were independent over the sequence, (n, n).
    """

    labels: NDArray[np.int64]
    together: Floats
    near: Floats
    overall: Floats


def estimates(tracks: Sequence[Track]) -> Floats:
    """All estimates, each a distribution over pairs, (estimates, labels, labels), symmetric."""
    labels = tracks[0].truth.shape[1]
    together, near, overall = (np.zeros((labels, labels)) for _ in range(3))
    sequences = np.zeros((labels, labels), dtype=np.int32)
    counts = np.zeros(labels)
    for track in tracks:
        pairs = _pairs_of(track)
        place = np.ix_(pairs.labels, pairs.labels)
        together[place] += pairs.together
        near[place] += pairs.near
        overall[place] += pairs.overall
        sequences[place] += pairs.together > 0
        counts += (track.truth == 1).sum(axis=0)
    scale = _scale(tracks)
    together, near, overall = together * scale, near * scale, overall * scale
    groups = np.searchsorted(_SEEN_IN, sequences, side="right")
    counts = counts * np.sqrt(scale.diagonal())
    found = [np.where(groups == group, together, 0.0) for group in range(1, len(_SEEN_IN) + 1)]
    found += [near, overall, _friends_of_friends(together), np.outer(counts, counts)]
    found += [np.outer(np.sqrt(counts), np.sqrt(counts)), np.ones((labels, labels))]
    return np.stack([_distribution(table) for table in found])


def seen_pairs(tracks: Sequence[Track]) -> Floats:
    """Pairs seen in one frame, as a distribution."""
    tables = estimates(tracks)[: len(_SEEN_IN)]
    return _distribution(np.asarray(tables.sum(axis=0)))


def population_sets(tracks: Sequence[Track]) -> LabelSets:
    """Label sets as they would be counted if all labels were known in all frames.

    A set counts as many times as there are frames for each frame in which its pairs are known: a
    label that is seldom annotated is taken to be as frequent in the other frames.
    """
    sets, scale = label_sets(tracks), _scale(tracks)
    if (scale == 1).all():
        return sets
    own = scale.diagonal()
    between = scale - np.diag(own)
    sizes = sets.sizes().astype(np.float64)
    factors = np.asarray(sets.rows @ own)  # right for sets of one label
    for first in range(0, len(sizes), _SETS_AT_ONCE):
        rows = sets.rows[first : first + _SETS_AT_ONCE]
        some = sizes[first : first + _SETS_AT_ONCE]
        pairs = np.asarray(rows.multiply(rows @ between).sum(axis=1)).ravel()
        means = pairs / np.maximum(1.0, some * (some - 1))
        of_one = factors[first : first + _SETS_AT_ONCE]
        factors[first : first + _SETS_AT_ONCE] = np.where(some > 1, means, of_one)
    return LabelSets(sets.rows, sets.weights * factors)


def mixture_weights(of_some: Floats, seen: Floats) -> Floats:
    """How much each estimate counts, learned on pairs of other sequences.

    Args:
        of_some: estimates from some sequences, (estimates, labels, labels).
        seen: the pairs that others showed, (labels, labels).
    """
    shown = seen > 0
    tables, target = of_some[:, shown], seen[shown] / max(seen.sum(), 1e-300)
    weights = np.full(len(tables), 1 / len(tables))
    for _ in range(_ROUNDS if target.size else 0):
        parts = weights[:, None] * tables
        weights = (parts / np.maximum(parts.sum(axis=0), 1e-300)) @ target
    return weights


def _pairs_of(track: Track) -> _TrackPairs:
    present = track.truth == 1
    labels = np.flatnonzero(present.any(axis=0))
    shown = present[:, labels].astype(np.float64)
    mates = np.maximum(1.0, shown.sum(axis=1) - 1)
    together = shown.T @ (shown / mates[:, None])
    share = shown.mean(axis=0) if len(shown) else shown.sum(axis=0)
    near = shown.T @ mean_around(shown, track.stamps_s)
    for table in (together, near):
        np.fill_diagonal(table, 0.0)
    return _TrackPairs(labels, together, near + near.T, np.outer(share, share) * len(shown))


def _scale(tracks: Sequence[Track]) -> Floats:
    """Frames for each frame in which both labels of a pair are known."""
    labels = tracks[0].truth.shape[1]
    frames = sum(len(track.truth) for track in tracks)
    known = np.full((labels, labels), 0.0)
    for track in tracks:
        rows = (track.truth >= 0).astype(np.float32)
        known += len(rows) if rows.all() else rows.T @ rows
    scale: Floats = np.minimum(_MOST, frames / np.maximum(1.0, known))
    return scale


def _friends_of_friends(together: Floats) -> Floats:
    strength = together.sum(axis=1)
    step = together / np.maximum(strength, 1e-300)[:, None]
    reached = strength[:, None] * (step @ step)
    return np.asarray(reached + reached.T)


def _distribution(table: Floats) -> Floats:
    table = table.copy()
    np.fill_diagonal(table, 0.0)
    total = table.sum()
    return np.asarray(table / total) if total > 0 else table
