"""How far joules may be off: a stated error model per source, and the standard error it gives.

A reading is stale: it was renewed up to ``renewal_s`` ago and shows the load of up to ``delay_s``
before that. A difference of two readings so lacks some of its end and has some of what went before
its start. With the power between ``low`` and ``high`` watts around it, its variance is

    (high renewal)^2 / 6             both ends stale by a uniform share of a renewal
  + ((high - low) lag / 2)^2         lag = delay + renewal / 2: a load that differs at both ends
  + sampling                         sum of ((P2 - P1) dt)^2 / 12: when the power changed
  + (quantum W / sqrt 12 seconds)^2  a steady power is always rounded alike
  + (quantum J)^2 / 6                both readings rounded
  + (gain joules)^2                  the sensor's scale

A counter does not show the power between two readings: it is taken to lie between idle power and
twice the mean. Rules: GUM (JCGM 100:2008), 4.3.7: a uniform error of half-width a has the variance
a^2 / 3. A bound of a one-sided error counts as two standard errors.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class ErrorModel:
    """What is known of a source's errors; how often it is renewed is the meter's own.

    Attributes:
        basis: where these values come from, in plain words.
        gain: standard error of its scale, as a share of the joules.
        delay_s: a reading shows the load of up to so long ago.
        quantum_joules: step of a counter.
        quantum_watts: step of a power reading.
        cpu_of_others: whether it holds what other processes take of the CPU.
    """

    basis: str
    gain: float = 0.0
    delay_s: float = 0.0
    quantum_joules: float = 0.0
    quantum_watts: float = 0.0
    cpu_of_others: bool = False


class PowerRange:
    """Least and greatest power of the last seconds, in constant memory.

    Args:
        seconds: how far back; true to one part in ten.
    """

    def __init__(self, seconds: float = 10.0) -> None:
        self._step_s = seconds / 10.0
        self._parts: deque[tuple[float, float, float]] = deque(maxlen=11)

    def add(self, now_s: float, watts: float) -> None:
        """Take a power, watts, at a time that never falls, seconds."""
        if self._parts and now_s - self._parts[-1][0] < self._step_s:
            begun, low, high = self._parts[-1]
            self._parts[-1] = (begun, min(low, watts), max(high, watts))
        else:
            self._parts.append((now_s, watts, watts))
        while now_s - self._parts[0][0] > 11 * self._step_s:
            self._parts.popleft()

    @property
    def low(self) -> float:
        """The least power, watts; infinite before any."""
        return min((low for _, low, _ in self._parts), default=math.inf)

    @property
    def high(self) -> float:
        """The greatest power, watts; 0 before any."""
        return max((high for _, _, high in self._parts), default=0.0)


@dataclass(frozen=True)
class Sampling:
    """What a meter that samples power saw between its samples; nothing of a counter.

    Attributes:
        variance: of the joules since opening, joules squared.
        low, high: power of the last seconds, watts; ``low`` is infinite where none is known.
    """

    variance: float = 0.0
    low: float = math.inf
    high: float = 0.0


@dataclass(frozen=True)
class JoulesError:
    """Error of joules: what averages out over many readings, and what does not.

    Attributes:
        variance: of the independent part, joules squared.
        systematic: standard error of the part that all readings share, joules.
    """

    variance: float = 0.0
    systematic: float = 0.0

    def __add__(self, other: JoulesError) -> JoulesError:
        """Of the sum of two readings of one source."""
        return JoulesError(self.variance + other.variance, self.systematic + other.systematic)

    @property
    def standard_error(self) -> float:
        """One standard error, joules; the true value lies within 1.96 of it 95 % of the time."""
        return math.sqrt(self.variance + self.systematic**2)


def difference_error(
    model: ErrorModel, renewal_s: float, seconds: float, joules: float, sampling: Sampling
) -> JoulesError:
    """Error of the difference of two readings.

    Args:
        model: of the source.
        renewal_s: between two renewals of the reading.
        seconds, joules: the differences of clock and reading.
        sampling: its variance over the difference; power of the last seconds around it.
    """
    mean = joules / seconds if seconds > 0 else 0.0
    high, low = max(sampling.high, mean), min(sampling.low, mean)
    swing = (high - low) * (model.delay_s + renewal_s / 2.0) / 2.0
    rounding = model.quantum_watts * seconds / math.sqrt(12.0)
    return JoulesError(
        (high * renewal_s) ** 2 / 6.0 + sampling.variance + model.quantum_joules**2 / 6.0,
        math.sqrt(swing**2 + rounding**2 + (model.gain * joules) ** 2),
    )
