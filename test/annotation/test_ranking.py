"""Pins the order in which frames are shown: no two alike, unknown and uncertain ones first.

Left open: whether that order teaches more than chance; benchmarks/active_learning.py measures it.
"""

from __future__ import annotations

import numpy as np
import pytest

from polymorph_ros.annotation.ranking import near_identical, rank_frames
from polymorph_ros.errors import PolymorphError


def _clusters(centres: int, each: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    axes = np.eye(centres, 16)
    return np.repeat(axes, each, axis=0) + 0.01 * rng.standard_normal((centres * each, 16))


def test_each_group_is_shown_once_before_any_is_shown_again() -> None:
    features = _clusters(5, 8)

    ranking = rank_frames(features, np.full(40, 0.5), np.zeros(40, bool))

    assert ranking.fresh == 5
    assert set(ranking.groups[ranking.order[:5]]) == set(range(5))
    assert sorted(ranking.order) == list(range(40))


def test_a_group_is_shown_by_its_most_uncertain_frame() -> None:
    uncertainty = np.zeros(8)
    uncertainty[5] = 0.9

    ranking = rank_frames(_clusters(1, 8), uncertainty, np.zeros(8, bool))

    assert ranking.order[0] == 5


def test_unknown_scenes_come_before_uncertain_ones_and_these_before_sure_ones() -> None:
    unknown = np.array([False, False, True])

    ranking = rank_frames(np.eye(3), np.array([0.0, 1.0, 0.6]), unknown)

    assert ranking.order.tolist() == [2, 1, 0]


def test_of_equal_frames_the_farther_comes_first() -> None:
    degrees = np.deg2rad([0.0, 20.0, 90.0])
    features = np.stack([np.cos(degrees), np.sin(degrees)], axis=1)

    ranking = rank_frames(features, np.full(3, 0.5), np.zeros(3, bool))

    assert ranking.order.tolist() == [0, 2, 1]


def test_what_is_like_a_labelled_frame_comes_last() -> None:
    features = _clusters(3, 4)
    labelled = np.zeros(12, bool)
    labelled[1] = True

    ranking = rank_frames(features, np.full(12, 0.5), np.zeros(12, bool), labelled)

    assert ranking.fresh == 2
    assert 0 not in ranking.groups[ranking.order[:2]]


def test_the_length_of_features_does_not_matter() -> None:
    features = _clusters(4, 3)

    longer = features * np.arange(1, 13)[:, None]

    assert near_identical(longer).tolist() == near_identical(features).tolist()


def test_no_frames_have_no_order() -> None:
    ranking = rank_frames(np.empty((0, 4)), np.empty(0), np.empty(0, bool))

    assert ranking.order.tolist() == []
    assert ranking.fresh == 0


@pytest.mark.parametrize(
    ("features", "uncertainty", "where"),
    [
        (np.zeros(3), np.zeros(3), "features"),
        (np.zeros((3, 2)), np.zeros(2), "uncertainty"),
        (np.full((3, 2), np.nan), np.zeros(3), "features"),
        (np.zeros((3, 2)), np.full(3, np.inf), "uncertainty"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(features, uncertainty, where) -> None:
    with pytest.raises(PolymorphError) as raised:
        rank_frames(features, uncertainty, np.zeros(3, bool))

    assert raised.value.where == where
