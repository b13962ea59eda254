"""Pins discovery delay: what an appearance is, its delay, and what was missed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from polymorph_ros.evaluation.metrics.discovery import discovery, sequence_delays


def column(*values: int) -> np.ndarray:
    return np.array(values, np.int8)[:, None]


STAMPS = np.array([0.0, 0.5, 1.0, 1.5, 2.0])


@pytest.mark.parametrize(
    ("truth", "active", "delays"),
    [
        ((0, 1, 1, 1, 0), (0, 0, 0, 1, 1), [1.0]),  # found two frames late
        ((1, 1, 0, 1, 1), (1, 1, 1, 1, 1), [0.0, 0.0]),  # two appearances, active all the time
        ((0, 1, 1, 0, 0), (0, 0, 0, 1, 0), [math.inf]),  # active only after it is gone
        ((-1, 1, 1, 0, 0), (0, 0, 1, 0, 0), []),  # nobody knows when it came
        ((0, 1, -1, 1, 0), (0, 0, 0, 1, 0), [math.inf]),  # unknown ends a run
        ((0, 0, 0, 0, 0), (1, 1, 1, 1, 1), []),
    ],
)
def test_delay_of_each_appearance(truth: tuple, active: tuple, delays: list[float]) -> None:
    found = sequence_delays(column(*active).astype(bool), column(*truth), STAMPS)

    assert found == delays


def test_missed_appearances_are_counted_beside_the_delays_of_the_others() -> None:
    result = discovery([0.0, 1.0, math.inf])

    assert (result.appearances, result.missed) == (3, 1)
    assert result.mean_s == result.p50_s == 0.5


def test_with_nothing_found_there_is_no_delay() -> None:
    result = discovery([math.inf])

    assert result.missed == 1
    assert math.isnan(result.p50_s)
