"""Context formation: groups of labels so that few adapters cover a frame's labels.

The objective is what contexts cost at run time: the expected number of adapters that cover a frame
of a sequence that was not seen before. Contexts are formed from a seeded start by pairs of labels
(`pair_cover`), then improved on whole label sets (`set_search`). How far to trust pairs rather
than the sets that were seen is chosen on sequences that were left out; then contexts are formed
on all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.arrays import Floats, Mask
from polymorph_ros.contexts.cost import expected_adapters
from polymorph_ros.contexts.label_sets import LabelSets
from polymorph_ros.contexts.pair_cover import PairCover
from polymorph_ros.contexts.pair_evidence import (
    estimates,
    mixture_weights,
    population_sets,
    seen_pairs,
)
from polymorph_ros.contexts.set_search import SetSearch
from polymorph_ros.data.track import Track
from polymorph_ros.errors import PolymorphError

TRUSTS = (0.03, 0.1, 0.3, 1.0)
_LEFT_OUT = 0.3  # of the sequences, to choose on
_LEAST = 10  # sequences; fewer are cut into parts
_SWEEPS = 12
_MOST_WORK = 250_000_000  # places looked at by a search on label sets: some seconds


@dataclass(frozen=True)
class ContextLimits:
    """How many contexts, and how many labels in each, there may be."""

    contexts: int
    labels_per_context: int

    def must_hold(self, labels: int) -> None:
        """Check that there is room for all labels.

        Raises:
            PolymorphError: there is not.
        """
        if self.contexts * self.labels_per_context < labels:
            raise PolymorphError(
                f"room for {labels} labels",
                f"{self.contexts} contexts of {self.labels_per_context} labels",
                where="contexts",
                remedy="allow more contexts or more labels in each",
            )


def form_contexts(
    tracks: Sequence[Track], limits: ContextLimits, *, seed: int = 0
) -> tuple[tuple[int, ...], ...]:
    """Form contexts over all labels.

    Args:
        tracks: the truth of the training sequences. Labels that are unknown in a frame (-1) are
            not taken as absent.
        limits: how many contexts and labels per context are allowed.
        seed: decides the starts and which sequences are left out to choose on.

    Returns:
        Label indices of each context, ascending; every label is in at least one.

    Raises:
        PolymorphError: the contexts cannot hold all labels, or there is no sequence.
    """
    if not tracks:
        raise PolymorphError("labelled sequences", "none", where="contexts")
    labels = int(tracks[0].truth.shape[1])
    limits.must_hold(labels)
    if labels <= limits.labels_per_context:
        return (tuple(range(labels)),)
    order = _canonical_order(tracks)
    ordered = _at_least(
        [Track(track.truth[:, order], track.stamps_s, track.name) for track in tracks]
    )
    weights, trust = _choose(ordered, limits, seed)
    members = form(Evidence.of(ordered, weights), limits, trust, seed)
    groups = (np.sort(order[row]).tolist() for row in members if row.any())
    return tuple(sorted(tuple(group) for group in groups))


@dataclass(frozen=True)
class Evidence:
    """What sequences show: label sets as seen, and how likely each pair is.

    Attributes:
        sets: the label sets.
        pairs: float64 (labels, labels), symmetric; in units of adapters per frame: all pairs
            together weigh what frames would cost above one adapter if no two labels had a
            context in common.
    """

    sets: LabelSets
    pairs: Floats

    @classmethod
    def of(cls, tracks: Sequence[Track], weights: Floats) -> Evidence:
        """Evidence of some sequences with learned weights of the pair estimates."""
        return cls.mixed(population_sets(tracks), estimates(tracks), weights)

    @classmethod
    def mixed(cls, sets: LabelSets, tables: Floats, weights: Floats) -> Evidence:
        """Evidence from estimates that are there already."""
        above_one = float(sets.weights @ (sets.sizes() - 1)) / max(1.0, float(sets.weights.sum()))
        return cls(sets, np.tensordot(weights, tables, 1) * 2 * max(above_one, 1e-3))


def deal(labels: int, limits: ContextLimits, rng: np.random.Generator) -> Mask:
    """Deal all labels to the contexts at random, evenly."""
    members = np.zeros((limits.contexts, labels), dtype=np.bool_)
    members[np.arange(labels) % limits.contexts, rng.permutation(labels)] = True
    return members


def form(evidence: Evidence, limits: ContextLimits, trust: float, seed: int) -> Mask:
    """Form contexts from one start, trusting pairs by a share (1: nothing else)."""
    rng = np.random.default_rng(seed)
    labels = evidence.sets.labels
    pairs = PairCover(evidence.pairs, deal(labels, limits, rng), limits.labels_per_context)
    pairs.improve(rng, _SWEEPS)
    if trust < 1 and len(evidence.sets.weights):
        SetSearch(evidence.sets, pairs, trust).improve(rng, _SWEEPS, _MOST_WORK)
    members: Mask = pairs.members
    return members


def _choose(tracks: list[Track], limits: ContextLimits, seed: int) -> tuple[Floats, float]:
    """Learn and choose on sequences that are left out: estimates' weights, trust in pairs."""
    order = np.random.default_rng(seed).permutation(len(tracks))
    first = max(1, round(_LEFT_OUT * len(tracks)))
    left_out = [tracks[index] for index in np.sort(order[:first])]
    used = [tracks[index] for index in np.sort(order[first:])] or left_out  # a single frame
    tables = estimates(used)
    weights = mixture_weights(tables, seen_pairs(left_out))
    evidence = Evidence.mixed(population_sets(used), tables, weights)
    return weights, choose_trust(evidence, population_sets(left_out), limits, seed)


def choose_trust(evidence: Evidence, judge: LabelSets, limits: ContextLimits, seed: int) -> float:
    """How far to trust pairs: what costs least on label sets that are no part of the evidence."""
    costs = [expected_adapters(form(evidence, limits, trust, seed), judge) for trust in TRUSTS]
    return TRUSTS[int(np.argmin(costs))]


def _at_least(tracks: list[Track]) -> list[Track]:
    """Cut few sequences into parts, so that some can be left out."""
    if len(tracks) >= _LEAST:
        return tracks
    parts = -(-_LEAST // len(tracks))
    return [
        Track(truth, stamps, track.name)
        for track in tracks
        for truth, stamps in zip(
            np.array_split(track.truth, parts), np.array_split(track.stamps_s, parts), strict=True
        )
        if len(truth)
    ]


def _canonical_order(tracks: Sequence[Track]) -> NDArray[np.int64]:
    """An order of the labels that depends only on where they are present, not on their indices.

    By frames, then by a random sum over them, which is the same only for labels that are always
    present together: contexts cost the same whatever the order of the vocabulary.
    """
    labels = tracks[0].truth.shape[1]
    rng = np.random.default_rng(0)
    counts, sums = np.zeros(labels, dtype=np.int64), np.zeros(labels, dtype=np.uint64)
    for track in tracks:
        for state in (1, -1):
            marks = rng.integers(0, 1 << 63, len(track.truth), dtype=np.uint64)
            frames, columns = np.nonzero(track.truth == state)
            np.add.at(sums, columns, marks[frames])
            if state == 1:
                counts += np.bincount(columns, minlength=labels)
    return np.lexsort((sums, -counts)).astype(np.int64)
