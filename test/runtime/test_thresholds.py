"""Pins the thresholds' rule apart from the policy: on from `on` up, held as long as from `off`."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from polymorph_ros.runtime.thresholds import held_active


@given(
    st.lists(st.lists(st.floats(0.0, 1.0, width=32), min_size=2, max_size=2), min_size=1),
    st.floats(0.1, 0.9),
    st.floats(0.1, 0.9),
)
def test_active_labels_of_beliefs_are_those_of_a_hysteresis(rows, one: float, other: float) -> None:
    beliefs, (off, on) = np.array(rows, dtype=np.float32), sorted((one, other))

    active = held_active(beliefs, on, off)

    assert active[beliefs >= on].all()
    assert not active[beliefs < off].any()
    between = (beliefs[1:] >= off) & (beliefs[1:] < on)
    assert (active[1:] == active[:-1])[between].all()
    assert (held_active(beliefs, on, on) == (beliefs >= on)).all()


def test_several_thresholds_are_tried_at_once() -> None:
    beliefs = np.random.default_rng(0).random((50, 3), dtype=np.float32)
    ons = np.array([0.5, 0.7])

    active = held_active(beliefs[:, :, None], ons, ons / 2)

    assert active.shape == (50, 3, 2)
    for place, on in enumerate(ons.tolist()):
        assert (active[:, :, place] == held_active(beliefs, on, on / 2)).all()
