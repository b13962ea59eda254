"""Pins which views are kept: the same view is recognised, and of a full set the least telling one
goes. Open: what the features of a given backbone mean (benchmarks/active_learning.py measures it).
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymorph_ros.runtime.views import (
    ALIKE,
    AlikeDistance,
    UncertainFrames,
    ViewSet,
    uncertainty,
    worth,
)


def angle(degrees: float) -> np.ndarray:
    """A feature in a plane; its length carries no meaning."""
    radians = np.radians(degrees)
    return 7.0 * np.array([np.cos(radians), np.sin(radians)], np.float32)


def views(*degrees: float, capacity: int = 8) -> ViewSet:
    """A set of views named by their angles."""
    made = ViewSet(capacity)
    for one in degrees:
        made.add(f"{one:g}", angle(one), 1.0)
    return made


def test_the_nearest_view_is_found_whatever_its_length() -> None:
    assert views(0.0, 90.0).nearest(3.0 * angle(0.0)) == pytest.approx(0.0, abs=1e-3)
    assert views(0.0).nearest(angle(60.0)) == pytest.approx(1.0, abs=1e-5)
    assert ViewSet(3).nearest(angle(0.0)) == np.inf
    assert views(0.0).nearest(None) == np.inf


def test_of_the_closest_pair_the_one_with_a_nearer_second_neighbour_goes() -> None:
    # 10 and 14 are closest to each other; 14 has 30 nearby
    assert views(10.0, 14.0, 30.0, 180.0).least_telling() == "14"


def test_the_heavier_of_a_pair_stays() -> None:
    made = views(0.0, 180.0)
    made.add("heavy", angle(4.0), 2.0)
    assert made.least_telling() == "0"


def test_views_without_a_feature_go_first_and_spared_ones_last() -> None:
    made = ViewSet(5)
    made.add("asked", angle(0.0), 0.1, spared=True)
    made.add("old", None, 5.0)
    made.add("other", angle(180.0), 1.0)

    order = []
    while len(made):
        order.append(made.least_telling())
        made.remove(order[-1])

    assert order == ["old", "other", "asked"]


def test_features_of_another_trunk_are_compared_with_nothing() -> None:
    made = views(0.0)
    made.forget_features()
    assert made.nearest(angle(0.0)) == np.inf
    made.add("longer", np.ones(5, np.float32), 1.0)
    assert made.nearest(np.ones(5, np.float32)) == pytest.approx(0.0, abs=1e-3)
    assert made.least_telling() == "0"


def test_a_full_set_refuses_another_view() -> None:
    made = views(0.0, 90.0, capacity=2)
    assert made.full
    with pytest.raises(ValueError, match="full"):
        made.add("third", angle(45.0), 1.0)


@given(st.lists(st.integers(0, 359), min_size=3, max_size=3, unique=True))
def test_of_three_views_one_of_the_closest_pair_goes(degrees: list[int]) -> None:
    made = views(*degrees)

    gone = int(made.least_telling())

    gaps = {
        pair: np.linalg.norm(angle(pair[0]) - angle(pair[1])) for pair in combinations(degrees, 2)
    }
    nearest = min(gap for pair, gap in gaps.items() if gone in pair)
    assert nearest <= min(gaps.values()) + 1e-3


def test_uncertainty_is_that_of_the_least_sure_labels() -> None:
    assert uncertainty(np.array([1.0, 0.0], np.float32)) == pytest.approx(0.0, abs=1e-6)
    assert uncertainty(np.array([0.5, 0.0, 1.0, 0.0, 0.0], np.float32)) == pytest.approx(1 / 3)


def test_unknown_scenes_are_worth_more_than_the_most_uncertain_known_ones() -> None:
    assert worth(0.0, True) < worth(1.0, False) < worth(1.0, True)
    assert worth(0.5, True) > worth(0.5, False) > worth(0.0, False) > 0.0


def test_a_tenth_of_the_frames_counts_as_uncertain() -> None:
    random = np.random.default_rng(0)
    frames = UncertainFrames()
    found = [frames.take(value) for value in random.uniform(size=2000)]
    assert 0.07 < np.mean(found[600:]) < 0.13


def test_of_frames_alike_none_is_uncertain() -> None:
    frames = UncertainFrames()
    assert not any(frames.take(0.3) for _ in range(200))
    assert frames.take(0.31)


@pytest.mark.parametrize("spread", [1.0, 0.06], ids=["far apart", "close together"])
def test_the_same_views_are_alike_whatever_the_scale_of_the_features(spread: float) -> None:
    rng = np.random.default_rng(0)
    common = np.eye(32, dtype=np.float32)[0]
    places = spread * _directions(rng, 80)
    visits = np.repeat(places, 2, axis=0)
    noise = 0.05 * spread * _directions(rng, len(visits))
    alike, kept = AlikeDistance(), ViewSet(100)
    left_out = []
    for number, feature in enumerate(common + visits + noise):
        alike.take(feature)
        if kept.nearest(feature) <= alike.value:
            left_out.append(number)
        else:
            kept.add(str(number), feature, 1.0)

    settled = [number for number in left_out if number >= 40]
    assert settled == list(range(41, 160, 2)), "each place is kept once"


def test_noise_alone_never_counts_as_another_view() -> None:
    rng = np.random.default_rng(1)
    alike = AlikeDistance()
    for _ in range(100):
        alike.take(np.eye(32, dtype=np.float32)[0] + 0.005 * _directions(rng, 1)[0])

    assert alike.value >= 0.015


def test_until_a_few_views_have_come_nothing_is_known_of_their_scale() -> None:
    alike = AlikeDistance()
    for degrees in (0.0, 40.0, 80.0):
        alike.take(angle(degrees))
    alike.take(None)

    assert alike.value == ALIKE


def _directions(rng: np.random.Generator, count: int) -> np.ndarray:
    """Unit vectors float32 (count, 32) without a first coordinate."""
    vectors = rng.standard_normal((count, 32)).astype(np.float32)
    vectors[:, 0] = 0.0
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
