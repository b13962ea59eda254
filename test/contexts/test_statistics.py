"""Pins label statistics: unknown is not absent, rates are by seconds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymorph_ros.contexts.statistics import dynamics
from polymorph_ros.data.track import Track


def track(columns: list[list[int]], hz: float = 1.0) -> Track:
    truth = np.array(columns, dtype=np.int8).T
    return Track(truth, np.arange(len(truth)) / hz)


def test_unknown_frames_count_neither_way() -> None:
    known = dynamics([track([[1, 0, 1, 0] * 200])])
    with_gaps = dynamics([track([[1, 0, -1, -1] * 400])])

    assert known.prior[0] == pytest.approx(0.5, abs=0.01)
    assert with_gaps.prior[0] == pytest.approx(0.5, abs=0.01)


def test_rates_are_per_second_whatever_the_frame_rate() -> None:
    slow = dynamics([track([([1] * 20 + [0] * 40) * 50], hz=1.0)])
    fast = dynamics([track([([1] * 200 + [0] * 400) * 50], hz=10.0)])

    assert slow.vanish_hz[0] == pytest.approx(1 / 20, rel=0.1)
    assert fast.vanish_hz[0] == pytest.approx(slow.vanish_hz[0], rel=0.1)
    assert fast.appear_hz[0] == pytest.approx(1 / 40, rel=0.1)


@pytest.mark.parametrize("every", [1, 5, 30])  # steps of 0.1, 0.5 and 3 seconds
def test_changes_between_two_frames_are_accounted_for(every: int) -> None:
    rng = np.random.default_rng(0)
    state, states = 0, []
    for draw in rng.random(300_000).tolist():  # appears at 0.1 Hz, vanishes at 0.3 Hz
        state = int(draw < 0.01) if state == 0 else int(draw >= 0.03)
        states.append(state)

    learned = dynamics([track([states[::every]], hz=10.0 / every)])

    assert learned.appear_hz[0] == pytest.approx(0.1, rel=0.1)
    assert learned.vanish_hz[0] == pytest.approx(0.3, rel=0.1)


@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=20), st.floats(0.0, 1e6))
def test_rates_are_finite_whatever_was_seen(states: list[int], step_s: float) -> None:
    truth = np.array([states], dtype=np.int8).T

    learned = dynamics([Track(truth, np.arange(len(truth)) * step_s)])

    for values in (learned.appear_hz, learned.vanish_hz):
        assert (np.isfinite(values) & (values > 0)).all()


def test_a_label_never_seen_has_finite_positive_rates_and_a_prior_inside_zero_and_one() -> None:
    learned = dynamics([track([[0] * 10, [-1] * 10])])

    for values in (learned.prior, learned.appear_hz, learned.vanish_hz):
        assert (np.isfinite(values) & (values > 0)).all()
    assert (learned.prior < 1).all()
