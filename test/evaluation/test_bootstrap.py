"""Pins the bootstrap over sequences: its draws are true mean average precisions.

Each draw is compared with scikit-learn's on the frames really repeated. Left open: how well a
percentile interval covers, which is a property of the method and not of this code.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polymorph_ros.evaluation.metrics import mean_average_precision
from polymorph_ros.evaluation.metrics.bootstrap import (
    bootstrap_mean_ap,
    draw_weights,
    interval,
    resampling_units,
)


@given(seed=st.integers(0, 10_000), levels=st.sampled_from([3, 1000]))
@settings(max_examples=40, deadline=None)
def test_a_draw_is_the_mean_average_precision_of_the_drawn_sequences(
    seed: int, levels: int
) -> None:
    rng = np.random.default_rng(seed)
    scores = (rng.integers(0, levels, (30, 3)) / levels).astype(np.float32)  # 3 levels: many ties
    truth = rng.choice(np.array([-1, 0, 0, 1], np.int8), (30, 3))
    unit = np.repeat(np.arange(5), 6)
    weights = draw_weights(5, draws=4, seed=seed)

    drawn = bootstrap_mean_ap(scores, truth, unit, weights)

    for row, value in zip(weights, drawn, strict=True):
        frames = np.repeat(np.arange(30), row.astype(int)[unit])
        expected = mean_average_precision(scores[frames], truth[frames])
        assert value == pytest.approx(expected, nan_ok=True)


def test_many_positives_are_grouped_and_change_the_value_hardly() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random((20_000, 1)) < 0.3).astype(np.int8)
    scores = (rng.random((20_000, 1)) + 0.5 * truth).astype(np.float32)
    unit = np.repeat(np.arange(10), 2000)

    drawn = bootstrap_mean_ap(scores, truth, unit, np.ones((1, 10)))

    assert drawn[0] == pytest.approx(mean_average_precision(scores, truth), abs=1e-3)


def test_the_same_seed_draws_the_same() -> None:
    assert np.array_equal(draw_weights(7, draws=3), draw_weights(7, draws=3))
    assert (draw_weights(7, draws=3).sum(axis=1) == 7).all()


def test_without_positives_there_is_no_interval() -> None:
    drawn = bootstrap_mean_ap(
        np.zeros((2, 1), np.float32), np.zeros((2, 1), np.int8), np.array([0, 1]), np.ones((3, 2))
    )

    assert math.isnan(interval(drawn).low)


def test_sequences_are_units_and_a_single_one_is_cut_into_segments() -> None:
    unit, words = resampling_units([np.array([5.0, 6.0]), np.array([0.0])])
    assert (unit.tolist(), words) == ([0, 0, 1], "2 sequences")

    unit, words = resampling_units([np.array([100.0, 109.0, 111.0, 135.0])])
    assert unit.tolist() == [0, 0, 1, 2]
    assert words == "3 segments of 10 s of one sequence"
