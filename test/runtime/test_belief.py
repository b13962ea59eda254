"""Pins the belief filter: bounded for any input, by elapsed time, and honest about repetition.

Open: how good its rates are (they are learned from data and measured in benchmarks).
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.score_filter import ScoreFilter

ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True, width=64)


def make_filter(labels: int = 1, prior: float = 0.2, correlation_s: float = 0.3) -> ScoreFilter:
    return ScoreFilter(np.full(labels, prior), np.full(labels, 0.25), correlation_s)


@given(
    st.lists(st.tuples(st.floats(0, 1e9), st.lists(ANY_FLOAT, min_size=3, max_size=3)), max_size=20)
)
@settings(deadline=None)
def test_belief_stays_finite_and_inside_zero_and_one(
    frames: list[tuple[float, list[float]]],
) -> None:
    belief = make_filter(3)

    for elapsed_s, scores in frames:
        belief.predict(elapsed_s)
        belief.take(np.array(scores))
        assert np.isfinite(belief.belief).all()
        assert ((belief.belief > 0) & (belief.belief < 1)).all()


def test_labels_without_a_score_are_predicted_on() -> None:
    belief, blind = make_filter(3), make_filter(3)

    for each in (belief, blind):
        each.predict(0.1)
    belief.take(np.array([np.nan, np.inf, 0.9]))

    assert belief.belief[:2] == pytest.approx(blind.belief[:2])
    assert belief.belief[2] > 0.8


def test_the_first_calibrated_score_is_taken_at_its_word() -> None:
    belief = make_filter(1)

    belief.predict(0.0)
    belief.take(np.array([0.7]))

    assert belief.belief[0] == pytest.approx(0.7, abs=1e-9)


def test_a_later_score_of_the_same_frame_replaces_the_earlier_one() -> None:
    corrected, direct = make_filter(1), make_filter(1)

    corrected.predict(0.1)
    corrected.take(np.array([0.9]))
    corrected.take(np.array([0.1]))
    direct.predict(0.1)
    direct.take(np.array([0.1]))

    assert corrected.belief == pytest.approx(direct.belief)


def test_without_looking_the_belief_goes_to_the_prior() -> None:
    belief = make_filter(1)
    belief.predict(0.0)
    belief.take(np.array([0.99]))

    belief.predict(1e6)

    assert belief.belief[0] == pytest.approx(0.2)


@pytest.mark.parametrize("score", [0.6, 0.3])  # a little over and under what the prior says
def test_a_second_of_one_score_means_about_the_same_at_any_rate(score: float) -> None:
    slow, fast = make_filter(1), make_filter(1)

    for belief, hz in ((slow, 5), (fast, 30)):
        for _ in range(3 * hz):
            belief.predict(1.0 / hz)
            belief.take(np.array([score]))

    assert slow.belief[0] == pytest.approx(fast.belief[0], abs=0.1)


def test_a_label_that_appears_is_believed_within_a_fifth_of_a_second_at_30_hz() -> None:
    belief = make_filter(1)
    for _ in range(300):
        belief.predict(1 / 30)
        belief.take(np.array([0.02]))
    absent = belief.belief[0]

    for _ in range(6):
        belief.predict(1 / 30)
        belief.take(np.array([0.97]))

    assert absent < 0.05
    assert belief.belief[0] > 0.5


@given(st.permutations(range(5)), st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_the_order_of_labels_does_not_matter(order: list[int], scores: list[float]) -> None:
    prior = np.linspace(0.1, 0.5, 5)
    rates = np.linspace(0.01, 1.0, 5)
    straight = ScoreFilter(prior, rates, 0.3)
    shuffled = ScoreFilter(prior[order], rates[order], 0.3)

    for each, values in ((straight, np.array(scores)), (shuffled, np.array(scores)[order])):
        each.predict(0.5)
        each.take(values)

    assert straight.belief[order] == pytest.approx(shuffled.belief)
