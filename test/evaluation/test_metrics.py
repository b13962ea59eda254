"""Pins mean average precision: per label, unknowns left out, labels without positives too."""

from __future__ import annotations

import math

import numpy as np
import pytest

from polymorph_ros.evaluation.metrics import label_average_precision, mean_average_precision


def test_a_perfect_ranking_is_one_and_unknown_frames_do_not_count() -> None:
    scores = np.array([[0.9], [0.95], [0.1], [0.2]], np.float32)
    truth = np.array([[1], [-1], [0], [0]], np.int8)

    assert label_average_precision(scores, truth)[0] == 1.0


def test_a_known_ranking_has_its_known_average_precision() -> None:
    scores = np.array([[0.9], [0.8], [0.7], [0.6]], np.float32)
    truth = np.array([[1], [0], [1], [0]], np.int8)

    assert label_average_precision(scores, truth)[0] == pytest.approx((1 + 2 / 3) / 2)


def test_labels_without_positives_are_left_out_of_the_mean() -> None:
    scores = np.array([[0.9, 0.5], [0.1, 0.5]], np.float32)
    truth = np.array([[1, 0], [0, 0]], np.int8)

    assert mean_average_precision(scores, truth) == 1.0
    assert math.isnan(mean_average_precision(scores[:, 1:], truth[:, 1:]))
