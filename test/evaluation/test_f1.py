"""Pins F1 of called labels: what is unknown does not count, and which labels macro is over."""

from __future__ import annotations

import math

import numpy as np
import pytest

from polymorph_ros.evaluation.metrics.f1 import f1


def test_micro_counts_entries_and_macro_counts_labels() -> None:
    truth = np.array([[1, 0], [1, 1], [0, 0]], np.int8)
    active = np.array([[True, True], [True, False], [False, False]])

    result = f1(active, truth)

    assert result.micro == pytest.approx(2 * 2 / (3 + 3))
    assert result.macro == pytest.approx((1.0 + 0.0) / 2)


def test_unknown_entries_and_labels_without_positives_do_not_count() -> None:
    truth = np.array([[1, 0, -1], [-1, 0, -1]], np.int8)
    active = np.array([[True, False, True], [True, False, True]])

    result = f1(active, truth)

    assert (result.micro, result.macro) == (1.0, 1.0)


def test_without_any_positive_there_is_no_f1() -> None:
    result = f1(np.array([[True]]), np.array([[0]], np.int8))

    assert math.isnan(result.micro) and math.isnan(result.macro)
