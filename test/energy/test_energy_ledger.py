"""Pins the ledger: what a frame, the window and the total are, on a synthetic meter and clock.

Also pinned: the figures of slow meters, constant memory, use from two threads. Not pinned:
that a real sensor's joules are true.
"""

from __future__ import annotations

import math
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.meter import UnavailableMeter
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.energy.uncertainty import ErrorModel, Sampling

_EXACT = ErrorModel("known whole")


@dataclass
class Machine:
    """A meter and a clock in one: joules and seconds are what the test says."""

    now: float = 100.0
    joules: float = 40.0
    source: EnergySource = EnergySource.RAPL
    scope: str = "a synthetic machine"
    resolution_s: float = 0.0
    error: ErrorModel = _EXACT
    idle_watts: float = math.nan
    note: str = ""
    closed: bool = False

    def clock(self) -> float:
        return self.now

    def read(self) -> float:
        if self.source is EnergySource.UNAVAILABLE:
            return math.nan
        if self.resolution_s == 0:
            return self.joules
        return self._last_renewal_joules

    def sampling(self) -> Sampling:
        return Sampling()

    def close(self) -> None:
        self.closed = True

    def run(self, seconds: float, watts: float) -> None:
        """Let time pass at a power; a slow meter shows only whole renewals."""
        end = self.now + seconds
        while self.resolution_s and self._next_renewal <= end:
            self.joules += watts * (self._next_renewal - self.now)
            self.now = self._next_renewal
            self._last_renewal_joules = self.joules
            self._next_renewal += self.resolution_s
        self.joules += watts * (end - self.now)
        self.now = end

    def __post_init__(self) -> None:
        self._last_renewal_joules = self.joules
        self._next_renewal = self.now + self.resolution_s


def test_a_frame_costs_the_meters_difference_and_the_total_holds_idle_time_too() -> None:
    machine = Machine()
    ledger = EnergyLedger(machine, machine.clock)

    machine.run(1.0, watts=5.0)
    ledger.start_frame()
    machine.run(0.5, watts=20.0)
    first = ledger.finish_frame(adapters=2)
    machine.run(0.5, watts=5.0)
    ledger.start_frame()
    machine.run(0.25, watts=20.0)
    second = ledger.finish_frame(adapters=1)

    assert (first.joules, second.joules) == (pytest.approx(10.0), pytest.approx(5.0))
    assert (first.total_joules, second.total_joules) == (pytest.approx(15.0), pytest.approx(22.5))
    assert second.mean_watts == pytest.approx(22.5 / 2.25)
    assert (first.frames, second.frames) == (1, 2)
    assert second.source is EnergySource.RAPL


def test_the_mean_power_forgets_what_is_older_than_the_window() -> None:
    machine = Machine()
    ledger = EnergyLedger(machine, machine.clock, window_s=2.0)

    for watts in [50.0] * 10 + [8.0] * 10:
        ledger.start_frame()
        machine.run(0.25, watts)
        energy = ledger.finish_frame()

    assert energy.mean_watts == pytest.approx(8.0)


def test_the_summary_adds_up_frames_adapters_seconds_and_stages() -> None:
    machine = Machine(note="why")
    ledger = EnergyLedger(machine, machine.clock)

    for _ in range(3):
        machine.run(0.5, watts=2.0)
        ledger.start_frame()
        machine.run(0.5, watts=10.0)
        ledger.finish_frame(adapters=2, stage_seconds={"trunk": 0.25, "tails": 0.125})
    summary = ledger.summary()

    assert (summary.frames, summary.adapters) == (3, 6)
    assert (summary.seconds, summary.busy_seconds) == (pytest.approx(3.0), pytest.approx(1.5))
    assert summary.frame_joules == pytest.approx(15.0)
    assert summary.total_joules == pytest.approx(18.0)
    assert summary.mean_watts == pytest.approx(6.0)
    assert summary.stage_seconds == {"trunk": 0.75, "tails": 0.375}
    assert (summary.scope, summary.note) == ("a synthetic machine", "why")


def test_a_frame_shorter_than_the_resolution_gets_its_share_of_the_mean_power() -> None:
    machine = Machine(resolution_s=0.1)
    ledger = EnergyLedger(machine, machine.clock)

    frames = []
    for _ in range(600):
        ledger.start_frame()
        machine.run(0.010, watts=30.0)
        frames.append(ledger.finish_frame().joules)
        machine.run(0.007, watts=30.0)

    assert frames[0] == 0.0
    settled = frames[60:]
    assert min(settled) > 0
    assert max(settled) < 2 * 0.3
    assert sum(settled) / len(settled) == pytest.approx(0.3, rel=0.05)


def test_a_frame_much_longer_than_the_resolution_is_measured_itself() -> None:
    machine = Machine(resolution_s=0.1)
    ledger = EnergyLedger(machine, machine.clock)
    machine.run(5.0, watts=1.0)

    ledger.start_frame()
    machine.run(2.0, watts=50.0)
    energy = ledger.finish_frame()

    assert energy.joules == pytest.approx(100.0, rel=0.1)


def test_a_slow_meter_that_stands_still_costs_nothing_after_a_window() -> None:
    machine = Machine(resolution_s=0.1)
    ledger = EnergyLedger(machine, machine.clock, window_s=2.0)

    for _ in range(100):
        ledger.start_frame()
        machine.run(0.05, watts=10.0)
        ledger.finish_frame()
    for _ in range(100):
        ledger.start_frame()
        machine.run(0.05, watts=0.0)
        last = ledger.finish_frame()

    assert last.joules == 0.0


def test_unavailable_gives_nan_and_counts_frames_all_the_same() -> None:
    ledger = EnergyLedger(UnavailableMeter())

    ledger.start_frame()
    energy = ledger.finish_frame(adapters=1)
    summary = ledger.summary()

    figures = (energy.joules, energy.mean_watts, energy.total_joules)
    assert all(math.isnan(figure) for figure in figures)
    assert (energy.frames, energy.source) == (1, EnergySource.UNAVAILABLE)
    assert math.isnan(summary.frame_joules)
    assert math.isnan(summary.total_joules)


def test_a_sensor_lost_within_a_frame_makes_that_frame_unavailable() -> None:
    machine = Machine()
    ledger = EnergyLedger(machine, machine.clock)

    ledger.start_frame()
    machine.source = EnergySource.UNAVAILABLE
    energy = ledger.finish_frame()

    assert math.isnan(energy.joules)
    assert math.isnan(energy.mean_watts)
    assert energy.source is EnergySource.UNAVAILABLE


def test_frames_are_bracketed() -> None:
    ledger = EnergyLedger(UnavailableMeter())

    with pytest.raises(RuntimeError, match="no frame was started"):
        ledger.finish_frame()
    ledger.start_frame()
    with pytest.raises(RuntimeError, match="neither finished nor cancelled"):
        ledger.start_frame()


def test_a_cancelled_frame_is_in_no_account_but_the_total() -> None:
    machine = Machine()
    ledger = EnergyLedger(machine, machine.clock)

    ledger.start_frame()
    machine.run(1.0, watts=7.0)
    ledger.cancel_frame()
    ledger.cancel_frame()
    ledger.start_frame()
    machine.run(1.0, watts=2.0)
    energy = ledger.finish_frame()

    assert (energy.joules, energy.total_joules) == (pytest.approx(2.0), pytest.approx(9.0))
    assert energy.frames == 1


def test_closing_closes_the_meter() -> None:
    machine = Machine()

    EnergyLedger(machine, machine.clock).close()

    assert machine.closed


steps = st.tuples(
    st.sampled_from(["frame", "idle", "cancelled", "summary"]),
    st.floats(0.0, 3.0),
    st.floats(0.0, 200.0),
)


@given(
    steps=st.lists(steps, max_size=60),
    resolution_s=st.sampled_from([0.0, 0.001, 0.1, 1.0]),
    window_s=st.floats(0.1, 20.0),
)
def test_figures_are_finite_and_never_negative_and_totals_never_fall(
    steps: list[tuple[str, float, float]], resolution_s: float, window_s: float
) -> None:
    machine = Machine(resolution_s=resolution_s)
    ledger = EnergyLedger(machine, machine.clock, window_s=window_s)
    total, frame_joules, frames = 0.0, 0.0, 0
    for kind, seconds, watts in steps:
        if kind in ("frame", "cancelled"):
            ledger.start_frame()
        machine.run(seconds, watts)
        if kind == "cancelled":
            ledger.cancel_frame()
        if kind == "frame":
            frames += 1
            energy = ledger.finish_frame()
            for figure in (energy.joules, energy.mean_watts, energy.total_joules):
                assert math.isfinite(figure)
                assert figure >= 0
            assert energy.total_joules >= total
            assert energy.frames == frames
            total, frame_joules = energy.total_joules, frame_joules + energy.joules
    summary = ledger.summary()
    assert summary.total_joules >= total
    assert summary.frame_joules == pytest.approx(frame_joules)
    assert summary.mean_watts <= 200.0 * (1 + 1e-6) + 1e-6 or resolution_s > 0
    if resolution_s == 0:
        assert frame_joules <= summary.total_joules + 1e-6


def test_memory_stays_constant_over_many_frames() -> None:
    machine = Machine()
    ledger = EnergyLedger(machine, machine.clock)

    def frames(count: int) -> None:
        for _ in range(count):
            ledger.start_frame()
            machine.run(0.0002, watts=10.0)
            ledger.finish_frame(adapters=1, stage_seconds={"trunk": 0.001})

    frames(20_000)
    tracemalloc.start()
    frames(1_000)
    before = tracemalloc.get_traced_memory()[0]
    frames(20_000)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert after - before < 20_000


def test_two_threads_may_use_it() -> None:
    machine = Machine()
    ledger = EnergyLedger(machine, machine.clock)
    done = threading.Event()

    def watch() -> list[float]:
        totals = [ledger.summary().total_joules]
        while not done.is_set():
            totals.append(ledger.summary().total_joules)
        return totals

    with ThreadPoolExecutor(max_workers=1) as pool:
        watcher = pool.submit(watch)
        for _ in range(3_000):
            ledger.start_frame()
            machine.run(0.01, watts=10.0)
            ledger.finish_frame(adapters=1)
        done.set()
        totals = watcher.result(timeout=20.0)

    assert totals == sorted(totals)
    assert ledger.summary().frame_joules == pytest.approx(300.0)
