"""Pins how raw hardware counters become joules since opening: wrap-around, restart, loss.

Leaves open what real drivers count; that is each sensor's own test.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymorph_ros.energy.counter import CounterMeter, WrappingCounter
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.energy.uncertainty import ErrorModel


def counter_of(raw: list[float], wrap_joules: float | None = None) -> WrappingCounter:
    readings: Iterator[float] = iter(raw)
    return WrappingCounter(lambda: next(readings), wrap_joules)


def test_counts_from_where_the_counter_stood_when_opened() -> None:
    counter = counter_of([500.0, 500.0, 512.5])

    assert counter.joules() == 0.0
    assert counter.joules() == 12.5


def test_a_fall_with_a_known_range_is_one_wrap_around() -> None:
    counter = counter_of([990.0, 5.0, 6.0], wrap_joules=1000.0)

    assert counter.joules() == 15.0
    assert counter.joules() == 16.0


def test_a_fall_without_a_range_is_a_restart_from_zero() -> None:
    counter = counter_of([990.0, 1000.0, 3.0, 4.0])

    assert counter.joules() == 10.0
    assert counter.joules() == 13.0
    assert counter.joules() == 14.0


@given(
    start=st.integers(0, 999),
    steps=st.lists(st.integers(0, 999), max_size=50),
)
def test_any_steps_below_the_range_are_counted_exactly(start: int, steps: list[int]) -> None:
    position = start
    raw = [float(position)]
    for step in steps:
        position = (position + step) % 1000
        raw.append(float(position))
    counter = counter_of(raw, wrap_joules=1000.0)

    joules = [counter.joules() for _ in steps]

    assert joules == [float(sum(steps[: n + 1])) for n in range(len(steps))]


@given(
    wraps=st.lists(st.integers(1, 99), min_size=1, max_size=20),
    restart=st.integers(0, 40),
    position=st.integers(0, 500),
)
def test_case_38_a_fall_is_a_wrap_around_only_if_the_power_allows_it(
    wraps: list[int], restart: int, position: int
) -> None:
    moments = iter(range(len(wraps) + 2))
    raw = [float(position)]
    for step in wraps:
        raw.append(float((raw[-1] + step) % 1000))
    fallen = raw[-1] - restart
    readings = iter([*raw, float(restart)])
    counter = WrappingCounter(lambda: next(readings), 1000.0, 100.0, lambda: next(moments))

    counted = [counter.joules() for _ in wraps][-1]
    after = counter.joules()

    assert counted == sum(wraps)
    if fallen > 0:  # a wrap-around would need fewer joules than 110 in this second
        as_wrap = 1000.0 - fallen
        assert after - counted == (as_wrap if as_wrap <= 110 else restart)
        assert counter.gaps == (as_wrap > 110)


def test_a_sensor_that_fails_is_lost_for_good_and_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers: list[float | OSError] = [1.0, 4.0, OSError(5, "Input/output error"), 9.0]

    def read() -> float:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    meter = CounterMeter(
        EnergySource.RAPL, "a package", 0.0, [WrappingCounter(read)], ErrorModel("none")
    )
    before = meter.read()
    with caplog.at_level(logging.WARNING):
        lost = meter.read()
        still_lost = meter.read()

    assert before == 3.0
    assert math.isnan(lost)
    assert math.isnan(still_lost)
    assert meter.source is EnergySource.UNAVAILABLE
    assert "Input/output error" in meter.note
    assert len(caplog.records) == 1
