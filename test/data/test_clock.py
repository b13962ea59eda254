"""Pins which time each picture of a recording has, for stamps as drivers really write them.

Times are given as numbers here; the same clocks in real bags are in test_case_recordings.py. How
far a stamp may be wrong before it is noticed (up to five periods, or a second at the end of a
recording) is left open: within it, header and log cannot be told apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polymorph_ros.arrays import Floats
from polymorph_ros.data.clock import Clock, decide_clock

LOG = 1.7e9 + np.arange(40) / 10  # seconds


def ns(seconds: Floats) -> np.ndarray:
    return np.round(np.asarray(seconds, np.float64) * 1e9).astype(np.int64)


def decide(header_s: Floats, log_s: Floats = LOG) -> Clock:
    return decide_clock(ns(header_s), ns(log_s))


def put(*places: tuple[int | slice, float]) -> Callable[[Floats], None]:
    """Stamps that are moved by some seconds."""

    def change(stamps: Floats) -> None:
        for place, seconds in places:
            stamps[place] += seconds

    return change


def hold(place: slice) -> Callable[[Floats], None]:
    """Stamps that stand still at the one before."""

    def change(stamps: Floats) -> None:
        stamps[place] = stamps[place.start - 1]

    return change


@pytest.mark.parametrize(
    ("change", "outliers"),
    [
        (put(), 0),
        (put((0, 3600)), 1),
        (put((20, 3600)), 1),
        (put((39, 3600)), 1),
        (put((0, -1.7e9 + 5)), 1),  # another epoch
        (put((slice(0, 5), -1.7e9 + 5)), 5),
        (put((slice(0, 12), 7200)), 12),  # before the clock was set
        (put((slice(30, 40), -7200)), 10),
        (put((slice(25, 40), -2)), 15),  # set back by two seconds
        (put((slice(0, 15), -1.69e9)), 15),
        (put((20, -0.7)), 1),
        (put((7, 0.6)), 1),  # exactly the stamp of a later picture
        (put((0, 3600), (20, -3600), (39, 1e6)), 3),
        (hold(slice(10, 25)), 15),
        (hold(slice(20, 40)), 20),
    ],
)
def test_case_05_pictures_with_a_wrong_stamp_get_the_logs_time(
    change: Callable[[Floats], None], outliers: int
) -> None:
    header = LOG - 100.0
    change(header)

    clock = decide(header)

    assert (clock.used, clock.outliers) == ("header", outliers)
    assert clock.offset_s == pytest.approx(-100.0, abs=1e-6)
    np.testing.assert_allclose(clock.times_ns / 1e9, LOG - 100.0, atol=1e-3)
    assert bool(clock.reason) == bool(outliers)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (0 * LOG, "every header stamp is zero"),
        (0 * LOG + 5.0, "the header stamps stand still"),
        (np.random.default_rng(0).uniform(0, 2e9, 40), "advance in step"),
        (LOG + np.random.default_rng(0).uniform(-3, 3, 40), "advance in step"),
        (LOG[::-1], "advance in step"),  # backwards
        (1.7e9 + np.arange(40) * 1e-6, "advance in step"),  # a count
    ],
)
def test_case_07_without_sane_stamps_all_pictures_have_log_time(
    header: Floats, reason: str
) -> None:
    clock = decide(header)

    assert (clock.used, clock.outliers, clock.offset_s) == ("log", 40, None)
    assert reason in clock.reason
    np.testing.assert_array_equal(clock.times_ns, ns(LOG))


@pytest.mark.parametrize("rate", [0.1, 0.5, 1.0, 3.0])
def test_a_simulated_clock_is_sane(rate: float) -> None:
    header = 12.0 + (LOG - LOG[0]) * rate

    clock = decide(header)

    assert (clock.used, clock.outliers, clock.reason) == ("header", 0, "")
    np.testing.assert_array_equal(clock.times_ns, ns(header))


@pytest.mark.parametrize("log", [0 * LOG, np.arange(40) * 1e-9], ids=["zero", "a count"])
def test_a_log_without_times_does_not_count(log: Floats) -> None:
    header = LOG.copy()
    header[20] += 3600

    clock = decide(header, log)

    assert (clock.used, clock.outliers) == ("header", 1)
    np.testing.assert_allclose(clock.times_ns / 1e9, LOG, atol=1e-3)


def test_a_log_that_is_late_does_not_count() -> None:
    log = LOG.copy()
    log[10:30] = np.maximum(log[10:30], LOG[29] + 0.5)  # a recorder that was held up

    clock = decide(LOG, log)

    assert (clock.used, clock.outliers) == ("header", 0)


def test_neighbours_that_came_in_the_wrong_order_keep_their_stamps() -> None:
    header = LOG.copy()
    for place in range(9, 39, 10):
        header[[place, place + 1]] = header[[place + 1, place]]

    clock = decide(header)

    assert clock.outliers == 0
    arranged = [stamp for _, stamp in clock.arrange(header.tolist())]
    assert arranged == LOG.tolist()


def test_the_second_lap_of_a_loop_follows_the_first() -> None:
    header = np.concatenate([LOG[:20], LOG[:20]]) - 50.0

    clock = decide(header)

    assert (clock.used, clock.outliers) == ("header", 20)
    np.testing.assert_allclose(clock.times_ns / 1e9, LOG - 50.0, atol=1e-3)
    # labels of the loop's own time belong to its first lap
    placed, as_log = clock.place(header[:20], 0.05)
    np.testing.assert_allclose(placed, LOG[:20] - 50.0, atol=1e-6)
    assert not as_log


def test_labels_may_have_the_wrong_stamps_themselves() -> None:
    header = LOG - 100.0
    header[0] += 3600
    header[30:] -= 7200

    placed, as_log = decide(header).place(header, 0.05)

    np.testing.assert_allclose(placed, LOG - 100.0, atol=1e-3)
    assert not as_log


@pytest.mark.parametrize("offset_s", [-1.7e9 + 3, -100.0, -0.02, 0.0, 7200.0])
@pytest.mark.parametrize("jitter_s", [0.0, 0.02])
def test_labels_are_in_header_time_or_in_log_time(offset_s: float, jitter_s: float) -> None:
    log = LOG + np.random.default_rng(1).uniform(0, jitter_s, len(LOG))
    header = LOG + offset_s
    clock = decide(header, log)

    for stamps, told in ((header, False), (log, True)):
        placed, as_log = clock.place(stamps[::5], 0.05)
        np.testing.assert_allclose(placed, header[::5], atol=1e-6)
        assert as_log == told or np.array_equal(header, log)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_few_pictures_are_enough(count: int) -> None:
    clock = decide(LOG[:count] + 5.0, LOG[:count])
    assert clock.outliers == 0
    assert len(list(clock.arrange(range(count)))) == count
    placed, _ = clock.place(LOG[:2] + 5.0, 0.05)
    np.testing.assert_allclose(placed, LOG[:2] + 5.0)


@dataclass(frozen=True)
class Drawn:
    """A camera's true clock, what its stamps say, and when they were recorded; seconds."""

    true: Floats
    header: Floats
    log: Floats
    bad: frozenset[int]


@st.composite
def drawn_clocks(draw: st.DrawFn) -> Drawn:
    count = draw(st.integers(8, 120))
    period = draw(st.sampled_from([1 / 60, 1 / 30, 0.1, 1.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    steps = period * rng.uniform(0.9, 1.1, count) * np.where(rng.random(count) < 0.05, 3, 1)
    true = np.round(np.cumsum(steps), 6) + draw(st.sampled_from([1.0, 1.7e9]))
    late = np.sort(rng.uniform(0, draw(st.sampled_from([0.0, 0.3])) * period, count))
    log = true + draw(st.sampled_from([0.0, -500.0, 1.7e9])) + rng.permutation(late)
    places = draw(st.sets(st.integers(0, count - 1), max_size=count // 8))
    header = true.copy()
    for place in sorted(places):
        kind = draw(st.sampled_from(["zero", "before", "ahead", "behind", "epoch", "other"]))
        header[place] = {
            "zero": 0.0,
            "before": header[max(0, place - 1)],
            "ahead": header[place] + rng.uniform(10, 1e5),
            "behind": max(0.0, header[place] - rng.uniform(60, 1e5)),
            "epoch": rng.uniform(1e3, 2e9),
            "other": true[rng.integers(count)],
        }[kind]
    bad = frozenset(int(place) for place in np.flatnonzero(header != true))
    return Drawn(true, header, log, bad)


@settings(deadline=None, max_examples=300)
@given(drawn_clocks())
def test_case_05_every_label_whose_picture_has_a_sane_stamp_finds_it(drawn: Drawn) -> None:
    clock = decide(drawn.header, drawn.log)

    assert clock.used == "header"
    sane = [place for place in range(len(drawn.true)) if place not in drawn.bad]
    placed, _ = clock.place(drawn.true[sane], 0.05)
    times = clock.times_ns / 1e9
    for place, stamp in zip(sane, placed, strict=True):
        nearest = int(np.argmin(np.abs(times - stamp)))
        assert nearest == place or abs(times[place] - stamp) <= abs(times[nearest] - stamp)
    # what is learned of time is learned of times that advance as the pictures did
    steps = np.diff(drawn.true)
    assert np.diff(np.sort(times)).max() <= steps.max() + 6 * np.median(steps)
