"""Pins the improvement of contexts: what it lowers never rises, and limits hold on the way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from polymorph_ros.contexts.cost import expected_adapters
from polymorph_ros.contexts.formation import ContextLimits, deal
from polymorph_ros.contexts.label_sets import label_sets
from polymorph_ros.contexts.pair_cover import PairCover
from polymorph_ros.contexts.set_search import SetSearch
from polymorph_ros.data.track import Track

TRUTH = arrays.arrays(np.int8, (20, 9), elements=st.integers(0, 1))
LIMITS = ContextLimits(4, 3)
MUCH_WORK = 1 << 30


@given(TRUTH, st.integers(0, 5), st.sampled_from([0.0, 0.1, 0.5]))
@settings(deadline=None, max_examples=30)
def test_it_is_never_worse_than_its_start(truth: np.ndarray, seed: int, trust: float) -> None:
    truth[0, 0] = 1
    sets = label_sets([Track(truth, np.arange(20.0))])
    rng = np.random.default_rng(seed)
    weights = (truth.T.astype(float) @ truth) / 20
    np.fill_diagonal(weights, 0.0)
    pairs = PairCover(weights, deal(9, LIMITS, rng), LIMITS.labels_per_context)
    covered, start = pairs.covered, pairs.members.copy()

    pairs.improve(rng, sweeps=3)
    assert pairs.covered >= covered - 1e-9
    search = SetSearch(sets, pairs, trust)
    before = search.objective
    search.improve(rng, sweeps=3, most_work=MUCH_WORK)

    members = search.pairs.members
    assert search.objective <= before + 1e-9
    assert members.any(axis=0).all()
    assert members.sum(axis=1).max() <= LIMITS.labels_per_context
    if trust == 0.0:
        pair_start = PairCover(weights, start, LIMITS.labels_per_context)
        alone = SetSearch(sets, pair_start, trust)
        alone.improve(rng, sweeps=3, most_work=MUCH_WORK)
        assert expected_adapters(alone.pairs.members, sets) <= expected_adapters(start, sets) + 1e-9


def test_it_leaves_a_local_optimum_of_pairs_for_whole_sets() -> None:
    # Three labels seen together often weigh no more as pairs than pairs seen apart, but cost more.
    frames = [(0, 1, 2)] * 6 + [(3, 4, 5)] * 6
    truth = np.zeros((12, 6), dtype=np.int8)
    for row, labels in enumerate(frames):
        truth[row, list(labels)] = 1
    mixed = np.array([[1, 0, 0, 1, 1, 0], [0, 1, 1, 0, 0, 1]], dtype=bool)
    pairs = PairCover(np.zeros((6, 6)), mixed, room=3)

    search = SetSearch(label_sets([Track(truth, np.arange(12.0))]), pairs, trust=0.0)
    search.improve(np.random.default_rng(0), sweeps=5, most_work=MUCH_WORK)

    groups = sorted(tuple(np.flatnonzero(row)) for row in search.pairs.members)
    assert groups == [(0, 1, 2), (3, 4, 5)]
    assert -search.objective == pytest.approx(-1.0)
