"""Pins the greedy cover: it covers, has nothing superfluous, keeps its limit, and does not flap."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from polymorph_ros.runtime.cover import greedy_cover, membership

MEMBERS = membership(((0, 1, 2), (2, 3, 4), (4, 5)), labels=6)
EVEN = np.full(3, 0.5)


def mask(*labels: int) -> np.ndarray:
    out = np.zeros(6, dtype=bool)
    out[list(labels)] = True
    return out


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, ...]]:
    contexts, labels = draw(st.integers(1, 8)), draw(st.integers(1, 12))
    bits = st.lists(st.booleans(), min_size=labels, max_size=labels)
    members = np.array([draw(bits) for _ in range(contexts)], dtype=bool)
    in_play = np.array(draw(bits), dtype=bool)
    belief = np.array(
        draw(st.lists(st.floats(0, 1), min_size=contexts, max_size=contexts)), dtype=float
    )
    previous = tuple(sorted(draw(st.sets(st.integers(0, contexts - 1)))))
    return members, in_play, belief, previous


@given(problems())
def test_every_label_that_some_context_has_is_covered_and_no_adapter_is_superfluous(
    problem,
) -> None:
    members, in_play, belief, previous = problem

    chosen = greedy_cover(members, in_play, context_belief=belief, previous=previous)

    coverable = in_play & members.any(axis=0)
    assert not (coverable & ~members[list(chosen)].any(axis=0)).any()
    for adapter in chosen:
        others = [other for other in chosen if other != adapter]
        assert (coverable & ~members[others].any(axis=0)).any()


@given(problems(), st.integers(1, 3))
def test_the_limit_holds(problem, limit: int) -> None:
    members, in_play, belief, previous = problem

    chosen = greedy_cover(members, in_play, context_belief=belief, previous=previous, limit=limit)

    assert len(chosen) <= limit


@given(problems())
def test_the_inputs_are_not_changed_and_the_answer_repeats(problem) -> None:
    members, in_play, belief, previous = problem
    before = (members.copy(), in_play.copy(), belief.copy())

    first = greedy_cover(members, in_play, context_belief=belief, previous=previous)
    second = greedy_cover(members, in_play, context_belief=belief, previous=previous)

    assert first == second
    for now, was in zip((members, in_play, belief), before, strict=True):
        assert (now == was).all()


def test_nothing_in_play_needs_no_adapter() -> None:
    assert greedy_cover(MEMBERS, mask(), context_belief=EVEN) == ()


def test_a_tie_goes_to_the_likelier_context() -> None:
    assert greedy_cover(MEMBERS, mask(2), context_belief=np.array([0.2, 0.9, 0.5])) == (1,)


def test_a_tie_keeps_the_adapter_that_runs() -> None:
    chosen = greedy_cover(MEMBERS, mask(2), context_belief=EVEN, previous=(1,))

    assert chosen == (1,)


def test_coverage_outweighs_likelihood_and_habit() -> None:
    chosen = greedy_cover(
        MEMBERS, mask(0, 1), context_belief=np.array([0.0, 1.0, 1.0]), previous=(1, 2)
    )

    assert chosen == (0,)
