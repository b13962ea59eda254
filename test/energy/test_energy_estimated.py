"""Pins the estimate: what it adds up, that it says so, and what the kind "none" gives.

The real process clock is used once; everything else runs on given seconds.
"""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymorph_ros.energy.estimated import (
    EstimatedMeter,
    UnavailableMeter,
    process_cpu_seconds,
)
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.errors import PolymorphError


def test_adds_cpu_and_gpu_seconds_times_their_watts() -> None:
    spent = {"cpu": 100.0, "gpu": 7.0}
    meter = EstimatedMeter(6.0, 30.0, lambda: spent["gpu"], lambda: spent["cpu"])

    spent.update(cpu=102.0, gpu=7.5)

    assert meter.read() == pytest.approx(2.0 * 6.0 + 0.5 * 30.0)


def test_says_that_it_is_an_estimate_and_what_it_counts() -> None:
    without_gpu = EstimatedMeter(cpu_watts=2.5)
    with_gpu = EstimatedMeter(cpu_watts=2.5, gpu_watts=12, gpu_seconds=lambda: 0.0)

    assert without_gpu.source is EnergySource.UNCALIBRATED
    assert without_gpu.scope.startswith(
        "uncalibrated estimate for this process: CPU seconds x 2.5 W, no GPU"
    )
    assert "GPU busy seconds x 12 W" in with_gpu.scope


def test_the_process_clock_counts_work_and_not_waiting() -> None:
    start = process_cpu_seconds()
    end = time.monotonic() + 20.0
    while process_cpu_seconds() - start < 0.02:
        assert time.monotonic() < end, "20 s of work gave no 20 ms of CPU time"

    assert process_cpu_seconds() > start


@given(seconds=st.lists(st.floats(-1e3, 1e3), min_size=1))
def test_never_falls_even_if_a_callable_does(seconds: list[float]) -> None:
    readings = iter([0.0, *seconds])
    meter = EstimatedMeter(6.0, 30.0, cpu_seconds=lambda: next(readings))

    joules = [meter.read() for _ in seconds]

    assert joules == sorted(joules)
    assert joules[0] >= 0


@pytest.mark.parametrize("watts", [-1.0, math.nan, math.inf])
def test_refuses_watts_that_no_machine_draws(watts: float) -> None:
    with pytest.raises(PolymorphError, match="cpu_watts: expected watts of at least 0"):
        EstimatedMeter(cpu_watts=watts)
    with pytest.raises(PolymorphError, match="gpu_watts: expected watts of at least 0"):
        EstimatedMeter(gpu_watts=watts)


def test_no_meter_has_no_figure() -> None:
    meter = UnavailableMeter()

    assert math.isnan(meter.read())
    assert meter.source is EnergySource.UNAVAILABLE
