"""The ledger of joules, seconds and adapters: per frame, over a window, and in all."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from polymorph_ros.energy.meter import Meter
from polymorph_ros.energy.reading import EnergySource, FrameEnergy

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


class EnergyLedger:
    """Brackets each frame and adds up what it cost; any thread may use it.

    The total is the meter's own: everything that the meter covers since the ledger was opened,
    time between frames included. A frame's joules are the meter's difference over the frame.
    Where the meter renews its reading too slowly for that (see ``DIRECT_RESOLUTIONS``), the
    frame gets its seconds x the mean power between the last two renewals that were read. Such
    joules follow the load with that delay and do not separate busy from idle time within a
    renewal; over many frames of a steady load they are right. They are 0 until a power is known.

    Memory is constant: no frame is stored.

    Args:
        meter: where the joules come from; the ledger closes it.
        clock: seconds, never falling.
        window_s: length of the window of the mean power.
    """

    def __init__(
        self,
        meter: Meter,
        clock: Callable[[], float] = time.monotonic,
        window_s: float = 10.0,
    ) -> None:
        self._meter = meter
        self._clock = clock
        self._window_s = window_s
        self._lock = threading.Lock()
        self._opened_s = clock()
        self._opened_joules = meter.read()
        self._window = deque([(self._opened_s, 0.0)])
        self._renewal = (self._opened_s, 0.0)
        self._watts = 0.0
        self._frame_start: tuple[float, float] | None = None
        self._frames = 0
        self._adapters = 0
        self._busy_seconds = 0.0
        self._frame_joules = 0.0
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
            start_s, start_joules = self._frame_start
            self._frame_start = None
            now_s, total = self._record()
            joules = self._frame_cost(now_s - start_s, total - start_joules)
            self._frames += 1
            self._adapters += adapters
            self._busy_seconds += now_s - start_s
            self._frame_joules += joules
            for stage, seconds in (stage_seconds or {}).items():
                self._stage_seconds[stage] = self._stage_seconds.get(stage, 0.0) + seconds
            return FrameEnergy(
                joules=joules,
                mean_watts=self._mean_watts(now_s, total),
                total_joules=total,
                frames=self._frames,
                source=self._meter.source,
            )

    def cancel_frame(self) -> None:
        """Forget the open frame, if any: it failed and counts in the total only."""
        with self._lock:
            self._frame_start = None

    def summary(self) -> EnergySummary:
        """The sums as of now."""
        with self._lock:
            now_s, total = self._record()
            return EnergySummary(
                source=self._meter.source,
                scope=self._meter.scope,
                note=self._meter.note,
                frames=self._frames,
                adapters=self._adapters,
                seconds=now_s - self._opened_s,
                busy_seconds=self._busy_seconds,
                frame_joules=math.nan if math.isnan(total) else self._frame_joules,
                total_joules=total,
                mean_watts=self._mean_watts(now_s, total),
                stage_seconds=dict(self._stage_seconds),
            )

    def close(self) -> None:
        """Close the meter."""
        with self._lock:
            self._meter.close()

    def _record(self) -> tuple[float, float]:
        """Read clock and meter, and bring window and power up to date; (seconds, total joules)."""
        now_s, total = self._clock(), self._meter.read() - self._opened_joules
        if math.isnan(total):
            return now_s, total
        renewed_s, renewed_joules = self._renewal
        elapsed_s = now_s - renewed_s
        renewed = total > renewed_joules and elapsed_s >= self._meter.resolution_s
        if elapsed_s > 0 and (renewed or elapsed_s > self._window_s):
            self._watts = (total - renewed_joules) / elapsed_s
            self._renewal = (now_s, total)
        if now_s - self._window[-1][0] >= self._window_s / WINDOW_READINGS:
            self._window.append((now_s, total))
        while len(self._window) > 1 and now_s - self._window[1][0] >= self._window_s:
            self._window.popleft()
        return now_s, total

    def _frame_cost(self, seconds: float, difference: float) -> float:
        """Joules of a frame, from its seconds and the meter's difference over it."""
        if math.isnan(difference) or seconds >= DIRECT_RESOLUTIONS * self._meter.resolution_s:
            return difference
        return self._watts * seconds

    def _mean_watts(self, now_s: float, total: float) -> float:
        """Mean power since the oldest reading of the window; NaN when unavailable."""
        if math.isnan(total):
            return math.nan
        oldest_s, oldest_joules = self._window[0]
        return (total - oldest_joules) / (now_s - oldest_s) if now_s > oldest_s else 0.0
