"""Joules from a power reading."""

from __future__ import annotations

import time
from collections.abc import Callable

from polymorph_ros.energy.background import Periodic
from polymorph_ros.energy.uncertainty import PowerRange, Sampling

# Single readings fail on a busy bus; a sensor silent for longer than this is lost.
PATIENCE_S = 2.0


class PowerSampler:
    """Joules from a power reading: a daemon thread samples it and sums trapezoids.

    Args:
        watts: reads the present power; an OSError or ValueError is tried again until
            ``patience_s`` have passed without a reading.
        period_s: between two samples.
        most_watts: what cannot be exceeded; a reading above it is no reading.
        name: of the thread.

    Raises:
        OSError, ValueError: the first reading fails.
    """

    def __init__(
        self,
        watts: Callable[[], float],
        *,
        period_s: float,
        most_watts: float = float("inf"),
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
        name: str = "power",
    ) -> None:
        self._watts = watts
        self._most_watts = most_watts
        self._patience_s = patience_s
        self._clock = clock
        self._joules = 0.0
        self._variance = 0.0
        self._range = PowerRange()
        self._time, self._power = clock(), self._read()
        self._failure: Exception | None = None
        self._thread = Periodic(self._go_on, period_s=period_s, name=name)
        self.close = self._thread.close

    def joules(self) -> float:
        """Joules up to the last sample.

        Raises:
            OSError, ValueError: the sensor is lost.
        """
        if self._failure is not None:
            raise self._failure
        return self._joules

    def sampling(self) -> Sampling:
        """What is not known of the power between samples."""
        return Sampling(self._variance, self._range.low, self._range.high)

    def _go_on(self) -> bool:
        self.sample()
        return self._failure is None

    def sample(self) -> None:
        """Take one sample; the thread does so every period."""
        now = self._clock()
        try:
            power = self._read()
        except (OSError, ValueError) as error:
            if now - self._time > self._patience_s:
                self._failure = error
            return
        elapsed_s = now - self._time
        self._joules += 0.5 * (power + self._power) * elapsed_s
        self._variance += ((power - self._power) * elapsed_s) ** 2 / 12.0
        self._range.add(now, power)
        self._time, self._power = now, power

    def _read(self) -> float:
        watts = self._watts()
        if not watts <= self._most_watts:
            raise ValueError(f"{watts:g} W, but at most {self._most_watts:g} W are possible")
        return max(0.0, watts)  # an idle rail reads a little below zero
