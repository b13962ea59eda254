"""Pins a camera's time: the stamps where they are sane, receipt where not, never back but anew.

Each stream has 30 frames a second by receipt. Left open: how the node says it (test/ros).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymorph_ros.runtime.time_base import (
    LATE_S,
    STILL_S,
    CameraClock,
    FrameTime,
    StampFault,
    TimeBase,
)

SECOND_NS = 1_000_000_000
PERIOD_NS = SECOND_NS // 30
START_NS = 1_700_000_000 * SECOND_NS
RECEIVED_NS = 5_000 * SECOND_NS
ANY_STAMP = st.integers(-(2**62), 2**62)


def good(count: int, start_ns: int = START_NS) -> list[int]:
    """Stamps of a camera that stamps well."""
    return [start_ns + number * PERIOD_NS for number in range(count)]


def take(stamps: Iterable[int], period_ns: int = PERIOD_NS) -> list[FrameTime]:
    """Their times, received evenly."""
    base = TimeBase()
    return [
        base.take(stamp_ns, RECEIVED_NS + number * period_ns)
        for number, stamp_ns in enumerate(stamps)
    ]


def restarts(times: Sequence[FrameTime]) -> list[int]:
    return [number for number, time in enumerate(times) if time.restarted]


def lasted_s(times: Sequence[FrameTime]) -> float:
    return (times[-1].ns - times[0].ns) / SECOND_NS


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=30), ANY_STAMP)
def test_without_receipt_stamps_that_never_go_back_are_the_time(steps, start_ns: int) -> None:
    base, stamp_ns = TimeBase(), start_ns

    for step_ns in steps:
        stamp_ns += step_ns
        assert base.take(stamp_ns) == FrameTime(stamp_ns)


@given(
    st.lists(st.integers(1_000_000, 10**11), min_size=1, max_size=30),
    st.integers(-400_000_000, 400_000_000),
)
def test_stamps_that_go_on_as_receipt_does_are_the_time(steps, jitter_ns: int) -> None:
    base, stamp_ns = TimeBase(), START_NS

    for number, step_ns in enumerate(steps):
        stamp_ns += step_ns
        received_ns = stamp_ns - START_NS + jitter_ns * (number % 2)
        assert base.take(stamp_ns, received_ns) == FrameTime(stamp_ns)


@pytest.mark.parametrize("pace", [0.05, 0.5, 3.0, 100.0])
def test_a_recording_may_be_played_at_another_pace(pace: float) -> None:
    stamps = good(60)

    times = take(stamps, round(PERIOD_NS / pace))

    assert [time.ns for time in times[2:]] == stamps[2:]
    assert restarts(times) == []
    assert times[-1].clock is CameraClock.STAMPS


@given(st.lists(st.tuples(ANY_STAMP, st.integers(0, 10**10)), max_size=40), st.booleans())
def test_time_never_goes_back_but_where_the_camera_starts_anew(frames, offline: bool) -> None:
    base, received_ns, before = TimeBase(), RECEIVED_NS, None

    for stamp_ns, step_ns in frames:
        received_ns += step_ns
        time = base.take(stamp_ns, None if offline else received_ns)
        if before is not None:
            assert time.ns >= before or time.restarted
        before = time.ns


@pytest.mark.parametrize("stamp_ns", [0, START_NS, -5 * SECOND_NS])
def test_case_01_stamps_that_never_advance_go_by_receipt(stamp_ns: int) -> None:
    times = take([stamp_ns] * 210)

    assert lasted_s(times) == pytest.approx(209 / 30, abs=1e-6)
    assert times[-1].clock is CameraClock.RECEIPT
    assert times[-1].fault is StampFault.STILL
    assert restarts(times) == []


def test_case_01_stamps_that_count_frames_go_by_receipt() -> None:
    times = take(range(210))

    assert lasted_s(times) == pytest.approx(209 / 30, abs=0.01)
    assert times[-1].clock is CameraClock.RECEIPT


def test_case_01_whole_seconds_move_time_evenly_on_the_whole() -> None:
    times = take([stamp_ns // SECOND_NS * SECOND_NS for stamp_ns in good(210)])

    assert lasted_s(times) == pytest.approx(7.0, abs=0.6)
    assert restarts(times) == []


@pytest.mark.parametrize("resumes", ["where they stood", "at the present time"])
def test_stamps_that_stand_still_for_a_while_cost_no_time(resumes: str) -> None:
    stamps = good(400)
    still = [stamps[60]] * 120
    after = stamps[180:] if resumes == "at the present time" else stamps[61:]

    times = take(stamps[:60] + still + after[:100])

    assert lasted_s(times) == pytest.approx(279 / 30, abs=0.1)
    assert times[150].clock is CameraClock.RECEIPT
    assert times[-1].clock is CameraClock.STAMPS
    assert restarts(times) == []


def test_a_stamp_that_is_repeated_once_is_no_reason_to_go_by_receipt() -> None:
    stamps = [stamp_ns for stamp_ns in good(50) for _ in range(2)]

    times = take(stamps, PERIOD_NS // 2)

    assert {time.clock for time in times} == {CameraClock.STAMPS}
    assert times[-1].ns == stamps[-1]


def test_case_03_swapped_neighbours_are_late_and_move_no_time() -> None:
    stamps = good(120)
    for number in range(10, 119, 10):
        stamps[number], stamps[number + 1] = stamps[number + 1], stamps[number]

    times = take(stamps)

    assert restarts(times) == []
    assert [time.fault for time in times].count(StampFault.LATE) == 11
    assert [time.ns for time in times] == [max(stamps[: n + 1]) for n in range(120)]


@given(back=st.floats(0.034, LATE_S - 0.001), every=st.integers(2, 15))
def test_case_03_late_frames_never_start_a_camera_anew(back: float, every: int) -> None:
    stamps = good(240)
    for number in range(every, 240, every):
        stamps[number] -= round(back * SECOND_NS)

    times = take(stamps)

    assert restarts(times) == []
    assert lasted_s(times) == pytest.approx(239 / 30, abs=0.1)


def test_a_clock_that_is_set_back_a_little_goes_on_from_there() -> None:
    stamps = good(60) + [stamp_ns - SECOND_NS // 2 for stamp_ns in good(120)[60:]]

    times = take(stamps)

    assert restarts(times) == []
    assert lasted_s(times) == pytest.approx(119 / 30, abs=0.1)


@pytest.mark.parametrize("loop_s", [1.5, 4.0, 3600.0])
def test_a_recording_that_loops_starts_anew_once_and_says_so(loop_s: float) -> None:
    start_ns = START_NS - round(loop_s * SECOND_NS)

    times = take(good(60) + good(60, start_ns))

    assert restarts(times) == [61]
    assert "jumped back by" in times[61].restarted
    assert times[61].ns == good(2, start_ns)[1]
    assert times[-1].clock is CameraClock.STAMPS


def test_without_receipt_a_jump_back_starts_anew_at_once() -> None:
    base = TimeBase()
    times = [base.take(stamp_ns) for stamp_ns in (10 * SECOND_NS, 8 * SECOND_NS)]

    assert restarts(times) == [1]
    assert times[1].ns == 8 * SECOND_NS


@pytest.mark.parametrize("seconds", [-1.7e9, -3600.0, -2.0, 2.0, 30.0, 3600.0, 1.7e9])
def test_one_outlier_ages_nothing_and_starts_nothing_anew(seconds: float) -> None:
    stamps = good(60)
    stamps[30] += round(seconds * SECOND_NS)

    times = take(stamps)

    assert restarts(times) == []
    assert times[30].ns == times[29].ns
    assert times[30].fault is StampFault.JUMP
    assert [time.ns for time in times[31:]] == stamps[31:]


def test_stamps_that_are_never_sane_go_by_receipt() -> None:
    rng = np.random.default_rng(0)
    stamps = rng.integers(-(2**62), 2**62, 120).tolist()

    times = take(stamps)

    assert lasted_s(times) == pytest.approx(119 / 30, abs=STILL_S)
    assert times[-1].clock is CameraClock.RECEIPT
    assert restarts(times) == []


@pytest.mark.parametrize("gap_s", [5.0, 3600.0])
@pytest.mark.parametrize("waits", [True, False])
def test_a_pause_of_a_recording_passes_as_time(gap_s: float, waits: bool) -> None:
    """The player waits for as long, or goes on at once; then the second frame confirms it."""
    gap_ns = round(gap_s * SECOND_NS)
    base, times = TimeBase(), []

    for number, stamp_ns in enumerate(good(60)):
        later = gap_ns if number >= 30 else 0
        received_ns = RECEIVED_NS + number * PERIOD_NS + (later if waits else 0)
        times.append(base.take(stamp_ns + later, received_ns))

    assert lasted_s(times) == pytest.approx(gap_s + 59 / 30)
    assert restarts(times) == []


def test_case_05_a_first_stamp_from_before_the_clock_was_set_starts_nothing_anew() -> None:
    stamps = [3 * SECOND_NS, *good(60)]

    times = take(stamps)

    assert restarts(times) == []
    assert times[-1].ns == stamps[-1]


def test_negative_stamps_that_go_on_are_the_time() -> None:
    stamps = good(60, -20 * SECOND_NS)

    assert [time.ns for time in take(stamps)] == stamps
