"""Pins the cover: it covers, is the cheapest, has nothing superfluous, and keeps its limit."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymorph_ros.contexts.cost import membership
from polymorph_ros.runtime.cover import cheapest_cover, contexts_of_labels, cover_within

MEMBERS = membership(((0, 1, 2), (2, 3, 4), (4, 5)), labels=6)
CONTEXTS_OF_LABEL = contexts_of_labels(MEMBERS)
EVEN = np.ones(3)


def mask(*labels: int) -> np.ndarray:
    out = np.zeros(6, dtype=bool)
    out[list(labels)] = True
    return out


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    contexts, labels = draw(st.integers(1, 8)), draw(st.integers(1, 12))
    bits = st.lists(st.booleans(), min_size=labels, max_size=labels)
    members = np.array([draw(bits) for _ in range(contexts)], dtype=bool)
    wanted = np.array(draw(bits), dtype=bool)
    prices = draw(st.lists(st.floats(0.5, 2.0), min_size=contexts, max_size=contexts))
    return members, wanted, np.array(prices)


def cheapest_by_trying_all(members: np.ndarray, wanted: np.ndarray, prices: np.ndarray) -> float:
    needed = wanted & members.any(axis=0)
    return min(
        float(prices[list(some)].sum())
        for size in range(len(members) + 1)
        for some in combinations(range(len(members)), size)
        if not (needed & ~members[list(some)].any(axis=0)).any()
    )


@given(problems())
def test_every_label_that_some_context_has_is_covered_and_no_adapter_is_superfluous(
    problem,
) -> None:
    members, wanted, prices = problem

    chosen = cheapest_cover(contexts_of_labels(members), wanted, prices)

    coverable = wanted & members.any(axis=0)
    assert not (coverable & ~members[list(chosen)].any(axis=0)).any()
    for adapter in chosen:
        others = [other for other in chosen if other != adapter]
        assert (coverable & ~members[others].any(axis=0)).any()


@given(problems())
def test_no_other_cover_is_cheaper(problem) -> None:
    members, wanted, prices = problem

    chosen = cheapest_cover(contexts_of_labels(members), wanted, prices)

    assert prices[list(chosen)].sum() == pytest.approx(cheapest_by_trying_all(*problem))


@given(st.integers(0, 2**32 - 1))
def test_a_large_instance_is_covered_without_searching_for_ever(seed: int) -> None:
    rng = np.random.default_rng(seed)
    members, wanted = rng.random((60, 80)) < 0.15, np.ones(80, dtype=bool)

    chosen = cheapest_cover(contexts_of_labels(members), wanted, np.ones(60))

    assert (members[list(chosen)].any(axis=0) == members.any(axis=0)).all()


@given(problems(), st.integers(1, 3))
def test_the_limit_holds_and_nothing_without_worth_is_chosen(problem, limit: int) -> None:
    members, wanted, prices = problem

    chosen = cover_within(members, wanted.astype(float), prices, limit)

    assert len(chosen) <= limit
    assert all((members[adapter] & wanted).any() for adapter in chosen)


@given(problems())
def test_the_inputs_are_not_changed_and_the_answer_repeats(problem) -> None:
    members, wanted, prices = problem
    before = (members.copy(), wanted.copy(), prices.copy())

    first = cheapest_cover(contexts_of_labels(members), wanted, prices)
    second = cheapest_cover(contexts_of_labels(members), wanted, prices)

    assert first == second
    for now, was in zip((members, wanted, prices), before, strict=True):
        assert (now == was).all()


def test_nothing_in_play_needs_no_adapter() -> None:
    assert cheapest_cover(CONTEXTS_OF_LABEL, mask(), EVEN) == ()


def test_of_two_covers_of_one_size_the_cheaper_is_taken() -> None:
    assert cheapest_cover(CONTEXTS_OF_LABEL, mask(2), np.array([1.0, 0.9, 1.0])) == (1,)


def test_one_adapter_is_cheaper_than_two_cheap_ones() -> None:
    assert cheapest_cover(CONTEXTS_OF_LABEL, mask(2, 4), np.array([0.7, 1.0, 0.7])) == (1,)


def test_with_room_for_one_the_labels_of_most_worth_are_covered() -> None:
    worth = np.array([0.1, 0.1, 0.1, 0.1, 0.1, 3.0])

    assert cover_within(MEMBERS, worth, EVEN, limit=1) == (2,)
