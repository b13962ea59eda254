"""Pins the expected calibration error: known values, and that unknown entries do not count."""

from __future__ import annotations

import math

import numpy as np
import pytest

from polymorph_ros.evaluation.metrics.calibration import calibration_error


def test_scores_that_come_true_as_often_as_they_say_have_no_error() -> None:
    scores = np.full((4, 1), 0.75, np.float32)
    truth = np.array([[1], [1], [1], [0]], np.int8)

    assert calibration_error(scores, truth) == pytest.approx(0.0, abs=1e-6)


def test_bins_count_by_their_entries() -> None:
    scores = np.array([[0.9], [0.9], [0.9], [0.1]], np.float32)
    truth = np.array([[0], [0], [0], [0]], np.int8)

    assert calibration_error(scores, truth) == pytest.approx(0.75 * 0.9 + 0.25 * 0.1)


def test_unknown_entries_do_not_count() -> None:
    scores = np.array([[0.5, 1.0], [0.5, 1.0]], np.float32)
    truth = np.array([[1, -1], [0, -1]], np.int8)

    assert calibration_error(scores, truth) == pytest.approx(0.0, abs=1e-6)
    assert math.isnan(calibration_error(scores, np.full((2, 2), -1, np.int8)))
