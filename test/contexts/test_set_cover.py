"""Pins the bookkeeping of costs: whatever changes, gains and losses are what they foretell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from polymorph_ros.contexts.cost import expected_adapters
from polymorph_ros.contexts.label_sets import LabelSets, label_sets
from polymorph_ros.contexts.pair_cover import PairCover
from polymorph_ros.contexts.set_cover import SetCover
from polymorph_ros.data.track import Track

LABELS, CONTEXTS = 7, 4
TRUTH = arrays.arrays(np.int8, (15, LABELS), elements=st.integers(0, 1))
CHANGES = st.lists(st.tuples(st.integers(0, CONTEXTS - 1), st.integers(0, LABELS - 1)), max_size=15)


def sets_of(truth: np.ndarray) -> LabelSets:
    truth[0, 0] = 1  # at least one label is seen
    return label_sets([Track(truth, np.arange(float(len(truth))))])


def dealt() -> np.ndarray:
    members = np.zeros((CONTEXTS, LABELS), dtype=bool)
    members[np.arange(LABELS) % CONTEXTS, np.arange(LABELS)] = True
    return members


def turn(cover: SetCover | PairCover, context: int, label: int) -> None:
    if cover.members[context, label]:
        cover.drop(context, label)
    else:
        cover.add(context, label)


@given(TRUTH, CHANGES)
@settings(deadline=None, max_examples=60)
def test_the_cost_is_that_of_the_greedy_cover(
    truth: np.ndarray, changes: list[tuple[int, int]]
) -> None:
    sets, cover = sets_of(truth), SetCover(sets_of(truth), dealt())
    served = np.ones(LABELS, dtype=bool)

    for context, label in changes:
        turn(cover, context, label)
        served = cover.members.any(axis=0)
        if served.all():
            assert cover.cost == pytest.approx(expected_adapters(cover.members, sets), abs=1e-9)
    if not served.all():  # each label without a context is an adapter by itself
        alone = float(sets.weights @ (sets.rows[:, ~served].sum(axis=1).A1)) / sets.weights.sum()
        assert cover.cost == pytest.approx(
            expected_adapters(cover.members, sets) + alone, abs=1e-9
        )  # fmt: skip


@given(TRUTH, CHANGES)
@settings(deadline=None, max_examples=60)
def test_sets_of_two_labels_cost_what_is_foretold(
    truth: np.ndarray, changes: list[tuple[int, int]]
) -> None:
    # Of sets of at most two labels, the greedy cover is exact whatever breaks its ties.
    truth = np.where(truth.cumsum(axis=1) <= 2, truth, 0)
    cover = SetCover(sets_of(truth), dealt())
    for context, label in changes:
        turn(cover, context, label)

    for context in range(CONTEXTS):
        gains, losses, of_labels = cover.gains(context), cover.losses(context), {}
        for label in range(LABELS):
            of_labels[label] = cover.gains_of(label)[context]
            if cover.members[:, label].sum() <= cover.members[context, label]:
                continue  # a label without another context is counted as an adapter by itself
            before, inside = cover.cost, cover.members[context, label]
            turn(cover, context, label)
            change = cover.cost - before
            turn(cover, context, label)
            assert cover.cost == pytest.approx(before, abs=1e-9)
            if inside:
                assert losses[label] == pytest.approx(change, abs=1e-9)
            else:
                assert gains[label] == pytest.approx(-change, abs=1e-9)
                assert of_labels[label] == pytest.approx(-change, abs=1e-9)


def test_of_very_large_sets_the_first_64_labels_count() -> None:
    sets = label_sets([Track(np.ones((1, 80), dtype=np.int8), np.zeros(1))])
    members = np.zeros((10, 80), dtype=bool)
    members[np.arange(80) // 8, np.arange(80)] = True

    assert SetCover(sets, members).cost == 8.0


@given(arrays.arrays(np.float64, (LABELS, LABELS), elements=st.floats(0, 1)), CHANGES)
@settings(deadline=None, max_examples=60)
def test_pairs_are_kept_up_to_date(
    weights: np.ndarray, changes: list[tuple[int, int]]
) -> None:  # fmt: skip
    weights = np.triu(weights, 1) + np.triu(weights, 1).T
    pairs = PairCover(weights, dealt(), room=LABELS)
    for context, label in changes:
        turn(pairs, context, label)

    fresh = PairCover(weights, pairs.members, room=LABELS)

    for name in ("covered", "gains", "losses", "memberships", "sizes"):
        np.testing.assert_allclose(getattr(pairs, name), getattr(fresh, name), atol=1e-9)
