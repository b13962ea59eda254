"""Pins what contexts cost: the greedy cover's size, weighted by frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from polymorph_ros.contexts.cost import expected_adapters, membership
from polymorph_ros.contexts.label_sets import label_sets
from polymorph_ros.data.track import Track


def track(truth: np.ndarray) -> Track:
    return Track(truth.astype(np.int8), np.arange(float(len(truth))))


def test_label_sets_are_counted_and_empty_or_unknown_ones_left_out() -> None:
    first = track(np.array([[1, 0, 0], [1, -1, 0], [0, 0, 0], [1, 0, 1]]))
    second = track(np.array([[1, 0, 1], [-1, -1, -1]]))

    counted = label_sets([first, second])

    rows = map(tuple, counted.rows.toarray().tolist())
    assert dict(zip(rows, counted.weights, strict=True)) == {(1, 0, 0): 2.0, (1, 0, 1): 2.0}


def test_expected_adapters_counts_the_greedy_cover() -> None:
    members = membership(((0, 1), (2, 3)), 4)
    sets = label_sets([track(np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]))])

    assert expected_adapters(members, sets) == pytest.approx(1.5)


def test_labels_without_a_context_are_not_asked_for() -> None:
    sets = label_sets([track(np.array([[1, 1, 1]]))])

    assert expected_adapters(membership(((0, 1),), 3), sets) == 1.0


def test_no_frames_cost_nothing() -> None:
    assert expected_adapters(membership(((0, 1),), 2), label_sets([track(np.zeros((3, 2)))])) == 0.0


@given(
    arrays.arrays(np.int8, (20, 9), elements=st.integers(-1, 1)),
    arrays.arrays(np.bool_, (4, 9)),
)
@settings(deadline=None, max_examples=50)
def test_it_is_the_cost_of_covering_frame_by_frame(truth: np.ndarray, members: np.ndarray) -> None:
    sizes = []
    for row in truth == 1:
        left, size = row & members.any(axis=0), 0
        while left.any():
            left = left & ~members[(members & left).sum(axis=1).argmax()]
            size += 1
        sizes.append(size)
    with_labels = (truth == 1).any(axis=1)

    cost = expected_adapters(members, label_sets([track(truth)]))

    assert cost == pytest.approx(np.sum(sizes) / max(1, with_labels.sum()))
