"""The ledger of joules, seconds and adapters: per frame, over a window, and in all."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from polymorph_ros.energy.meter import Meter
from polymorph_ros.energy.processes import ShareOfOthers
from polymorph_ros.energy.reading import EnergySource, FrameEnergy
from polymorph_ros.energy.uncertainty import JoulesError, PowerRange, Sampling, difference_error

# A frame this many times longer than the meter's resolution is measured by its own difference
# (at most 10 % off at either end); a shorter one gets its share of the mean power.
DIRECT_RESOLUTIONS = 10.0

# Readings held over the window: its length is true to one part in this.
WINDOW_READINGS = 100


@dataclass(frozen=True)
class EnergySummary:
    """The sums so far, taken at one instant.

    Attributes:
        source: where the joules come from.
        scope: what they cover.
        note: why better sensors are not used, or why one was lost; empty if neither.
        frames: frames counted.
        adapters: adapters run, over all frames.
        seconds: since the ledger was opened.
        busy_seconds: spent in frames.
        frame_joules: attributed to frames; NaN when unavailable.
        total_joules: of the meter since the ledger was opened, idle time included; NaN likewise.
        mean_watts: over the window, idle time included; NaN likewise.
        stage_seconds: seconds per stage, over all frames.
        frame_joules_error: standard error of ``frame_joules``, for what this process spent.
        total_joules_error: standard error of ``total_joules``.
        idle_watts: what the meter shows while nothing runs; NaN where that was not measured.
        error_basis: what the errors rest on, in plain words.
    """

    source: EnergySource
    scope: str
    note: str
    frames: int
    adapters: int
    seconds: float
    busy_seconds: float
    frame_joules: float
    total_joules: float
    mean_watts: float
    stage_seconds: Mapping[str, float]
    frame_joules_error: float = math.nan
    total_joules_error: float = math.nan
    idle_watts: float = math.nan
    error_basis: str = ""

    @property
    def watts_above_idle(self) -> float:
        """``mean_watts`` less idle power, at least 0; NaN where either is unknown."""
        return _at_least_0(self.mean_watts - self.idle_watts)

    @property
    def watt_hours(self) -> float:
        """``total_joules`` in the unit of batteries."""
        return self.total_joules / 3600.0

    def battery_hours(self, battery_wh: float) -> float:
        """Hours that a full battery lasts at ``mean_watts``; NaN where that is unknown."""
        return battery_wh / self.mean_watts if self.mean_watts > 0 else math.nan


@dataclass(frozen=True)
class _Reading:
    """Clock, joules since the ledger was opened, and their sampling variance."""

    seconds: float
    joules: float
    variance: float = 0.0


class EnergyLedger:
    """Brackets each frame and adds up what it cost; any thread may use it.

    The total is the meter's own: everything that the meter covers since the ledger was opened,
    time between frames included. A frame's joules are the meter's difference over the frame.
    Where the meter renews its reading too slowly for that (see ``DIRECT_RESOLUTIONS``), the
    frame gets its seconds x the mean power between the last two renewals that were read. Such
    joules follow the load with that delay and do not separate busy from idle time within a
    renewal; over many frames of a steady load they are right. They are 0 until a power is known.

    A frame's standard error is for what this process spent: where the meter holds what other
    processes take of the CPU, their share of the joules above idle is a bound of its error.

    Memory is constant: no frame is kept.

    Args:
        meter: where the joules come from; the ledger closes it.
        clock: seconds, never falling.
        window_s: length of the window of the mean power.
        share_of_others: of the busy CPU time, from 0 to 1; measured if none is given.
    """

    def __init__(
        self,
        meter: Meter,
        clock: Callable[[], float] = time.monotonic,
        window_s: float = 10.0,
        share_of_others: Callable[[], float] | None = None,
    ) -> None:
        self._meter = meter
        self._clock = clock
        self._window_s = window_s
        self._lock = threading.Lock()
        self._opened_s = clock()
        self._opened_joules = meter.read()
        self._window = deque([(self._opened_s, 0.0)])
        self._renewal = (self._opened_s, 0.0)
        self._busy_at_renewal = 0.0
        self._watts: float | None = None
        self._duty = 1.0  # share of the time between the last two renewals that was in frames
        self._range = PowerRange(window_s)
        self._idle_watts = meter.idle_watts
        self._others: Callable[[], float] = lambda: 0.0
        if meter.error.cpu_of_others:
            self._others = share_of_others or ShareOfOthers().value
        self._share_of_others = 0.0
        self._frame_start: _Reading | None = None
        self._frames = 0
        self._adapters = 0
        self._busy_seconds = 0.0
        self._frame_joules = 0.0
        self._frame_error = JoulesError()
        self._unknown_seconds = 0.0  # of frames before any power was known
        self._stage_seconds: dict[str, float] = {}

    def start_frame(self) -> None:
        """Open a frame.

        Raises:
            RuntimeError: a frame is open already.
        """
        with self._lock:
            if self._frame_start is not None:
                raise RuntimeError("start_frame: the last frame was neither finished nor cancelled")
            self._frame_start = self._record()

    def finish_frame(
        self, adapters: int = 0, stage_seconds: Mapping[str, float] | None = None
    ) -> FrameEnergy:
        """Close the open frame and say what it cost.

        Args:
            adapters: adapters run for it.
            stage_seconds: seconds of each of its stages.

        Raises:
            RuntimeError: no frame is open.
        """
        with self._lock:
            if self._frame_start is None:
                raise RuntimeError("finish_frame: no frame was started")
            start, self._frame_start = self._frame_start, None
            now = self._record()
            seconds = now.seconds - start.seconds
            joules, error = self._frame_cost(start, now)
            self._frames += 1
            self._adapters += adapters
            self._busy_seconds += seconds
            self._frame_joules += joules
            if error is None:
                self._unknown_seconds += seconds
            else:
                self._frame_error += error
            for stage, seconds in (stage_seconds or {}).items():
                self._stage_seconds[stage] = self._stage_seconds.get(stage, 0.0) + seconds
            return FrameEnergy(
                joules=joules,
                mean_watts=self._mean_watts(now),
                total_joules=now.joules,
                frames=self._frames,
                source=self._meter.source,
                joules_error=error.standard_error if error else math.nan,
                idle_watts=self._idle_watts,
                joules_above_idle=_at_least_0(joules - self._idle_watts * seconds),
            )

    def cancel_frame(self) -> None:
        """Forget the open frame, if any: it failed and counts in the total only."""
        with self._lock:
            self._frame_start = None

    def summary(self) -> EnergySummary:
        """The sums as of now."""
        with self._lock:
            now = self._record()
            known = not math.isnan(now.joules)
            total_error = self._error(_Reading(self._opened_s, 0.0), now)
            unknown = JoulesError(systematic=self._unknown_seconds * (self._watts or 0.0) / 2.0)
            return EnergySummary(
                source=self._meter.source,
                scope=self._meter.scope,
                note=self._meter.note,
                frames=self._frames,
                adapters=self._adapters,
                seconds=now.seconds - self._opened_s,
                busy_seconds=self._busy_seconds,
                frame_joules=self._frame_joules if known else math.nan,
                total_joules=now.joules,
                mean_watts=self._mean_watts(now),
                stage_seconds=dict(self._stage_seconds),
                frame_joules_error=(
                    (self._frame_error + unknown).standard_error if known else math.nan
                ),
                total_joules_error=total_error.standard_error if known else math.nan,
                idle_watts=self._idle_watts,
                error_basis=self._meter.error.basis,
            )

    def measure_idle(
        self, seconds: float = 1.0, wait: Callable[[float], None] = time.sleep
    ) -> float:
        """Measure idle power while no frame runs, and remember it.

        A meter that knows it beforehand (an estimate) is not waited for.

        Args:
            seconds: how long to measure.
            wait: called with the seconds.

        Returns:
            Watts; NaN where the meter has no values.
        """
        if not math.isnan(self._meter.idle_watts):
            return self._meter.idle_watts
        with self._lock:
            start = self._record()
        if math.isnan(start.joules):
            return math.nan
        wait(seconds)
        with self._lock:
            now = self._record()
            elapsed_s = now.seconds - start.seconds
            if elapsed_s > 0 and not math.isnan(now.joules):
                self._idle_watts = (now.joules - start.joules) / elapsed_s
            return self._idle_watts

    def close(self) -> None:
        """Close the meter."""
        with self._lock:
            self._meter.close()

    def _record(self) -> _Reading:
        """Read clock and meter, and go on with window, power and the share of others."""
        now_s, total = self._clock(), self._meter.read() - self._opened_joules
        if math.isnan(total):
            return _Reading(now_s, total)
        renewed_s, renewed_joules = self._renewal
        elapsed_s = now_s - renewed_s
        renewed = total > renewed_joules and elapsed_s >= self._meter.resolution_s
        if elapsed_s > 0 and (renewed or elapsed_s > self._window_s):
            self._renew(now_s, total)
        if now_s - self._window[-1][0] >= self._window_s / WINDOW_READINGS:
            self._window.append((now_s, total))
            self._share_of_others = self._others()
        while len(self._window) > 1 and now_s - self._window[1][0] >= self._window_s:
            self._window.popleft()
        return _Reading(now_s, total, self._meter.sampling().variance)

    def _renew(self, now_s: float, total: float) -> None:
        """Take the power since the last renewal, and the share of that time spent in frames."""
        renewed_s, renewed_joules = self._renewal
        elapsed_s = now_s - renewed_s
        open_s = now_s - self._frame_start.seconds if self._frame_start else 0.0
        busy_s = self._busy_seconds + open_s
        self._watts = (total - renewed_joules) / elapsed_s
        self._duty = min(1.0, max(0.0, (busy_s - self._busy_at_renewal) / elapsed_s))
        self._range.add(now_s, self._watts)
        self._renewal, self._busy_at_renewal = (now_s, total), busy_s

    def _frame_cost(self, start: _Reading, now: _Reading) -> tuple[float, JoulesError | None]:
        """Joules of a frame and their error; no error where no power is known yet."""
        seconds, joules = now.seconds - start.seconds, now.joules - start.joules
        if math.isnan(joules):
            return joules, None
        if seconds >= DIRECT_RESOLUTIONS * self._meter.resolution_s:
            return joules, self._error(start, now) + self._error_of_others(joules, seconds)
        if self._watts is None:
            return 0.0, None
        joules = self._watts * seconds
        # All power above idle may have been the frames', which had `duty` of the time.
        idle = 0.0 if math.isnan(self._idle_watts) else self._idle_watts
        above = max(0.0, self._watts - idle)
        bound = above * (1.0 / max(self._duty, 0.01) - 1.0) * seconds
        spread = max(0.0, max(self._range.high, self._meter.sampling().high) - self._watts)
        share = JoulesError(systematic=(bound + spread * seconds) / 2.0)
        scale = JoulesError(systematic=self._meter.error.gain * joules)
        return joules, share + scale + self._error_of_others(joules, seconds)

    def _error(self, start: _Reading, now: _Reading) -> JoulesError:
        """Error of the difference of two readings."""
        seconds, seen = now.seconds - start.seconds, self._meter.sampling()
        low, high = seen.low, seen.high
        if high == 0.0:  # a counter, which does not show the power between two readings
            low = 0.0 if math.isnan(self._idle_watts) else self._idle_watts
            mean = (now.joules - start.joules) / seconds if seconds > 0 else 0.0
            high = max(self._range.high, 2.0 * mean)
        around = Sampling(now.variance - start.variance, low, high)
        return difference_error(
            self._meter.error,
            self._meter.resolution_s,
            seconds,
            now.joules - start.joules,
            around,
        )

    def _error_of_others(self, joules: float, seconds: float) -> JoulesError:
        """What other processes may have had of a frame's joules: a bound on one side."""
        idle = 0.0 if math.isnan(self._idle_watts) else self._idle_watts
        above = max(0.0, joules - idle * seconds)
        return JoulesError(systematic=self._share_of_others * above / 2.0)

    def _mean_watts(self, now: _Reading) -> float:
        """Mean power since the oldest reading of the window; NaN when unavailable."""
        if math.isnan(now.joules):
            return math.nan
        oldest_s, oldest_joules = self._window[0]
        elapsed_s = now.seconds - oldest_s
        return (now.joules - oldest_joules) / elapsed_s if elapsed_s > 0 else 0.0


def _at_least_0(value: float) -> float:
    """The value, or 0 if it is negative; NaN stays."""
    return value if math.isnan(value) else max(0.0, value)
