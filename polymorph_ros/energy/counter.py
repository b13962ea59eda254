"""Hardware energy counters as a meter: joules since opening, across wrap-around and loss."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence

from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.energy.uncertainty import ErrorModel, Sampling

_log = logging.getLogger(__name__)

# A counter may show at once what was spent over this long.
_LAG_S = 0.1


class WrappingCounter:
    """One counter that starts anywhere and may wrap or restart, as joules since it was opened.

    A fall with a known range is one wrap-around. A fall without one is a restart from zero
    (a driver was reloaded): what was counted since the restart is added, the rest is lost.
    A step that needs more than the possible power is a gap (the machine was suspended, the
    driver reloaded): only what a counter that restarted has counted since is added.
    Two wrap-arounds between two reads count as one.

    Args:
        read: the raw counter, joules.
        wrap_joules: where it wraps to zero; None if it never does.
        most_watts: what cannot be exceeded.
        clock: seconds; one that stands still while the machine is suspended.
    """

    def __init__(
        self,
        read: Callable[[], float],
        wrap_joules: float | None = None,
        most_watts: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._wrap = wrap_joules
        self._most_watts = most_watts
        self._clock = clock
        self._last, self._time = read(), clock()
        self._joules = 0.0
        self.gaps = 0

    def joules(self) -> float:
        """Joules since the counter was opened; raises what the raw read raises."""
        raw, now = self._read(), self._clock()
        step = raw - self._last
        if step < 0:
            step = step + self._wrap if self._wrap is not None else raw
        most = self._most_watts * (now - self._time + _LAG_S)
        if step > most:
            self.gaps += 1
            step = raw if raw < self._last and raw <= most else 0.0
        self._joules += max(0.0, step)
        self._last, self._time = raw, now
        return self._joules


class CounterMeter:
    """A real sensor: the sum of its counters.

    A sensor that fails while it is in use is lost for good: it is logged once, ``source``
    becomes ``UNAVAILABLE``, ``note`` says why, and ``read`` gives NaN. Joules of another
    source are never added to its total.
    """

    def __init__(
        self,
        source: EnergySource,
        scope: str,
        resolution_s: float,
        counters: Sequence[WrappingCounter],
        error: ErrorModel,
        *,
        release: Callable[[], None] = lambda: None,
        sampling: Callable[[], Sampling] = Sampling,
    ) -> None:
        self.source = source
        self.scope = scope
        self.resolution_s = resolution_s
        self.error = error
        self.sampling = sampling
        self.idle_watts = math.nan
        self.note = ""
        self._gaps = 0
        self._counters = counters
        self._release = release

    def read(self) -> float:
        """Joules since opening; NaN once the sensor is lost."""
        if self.source is EnergySource.UNAVAILABLE:
            return math.nan
        try:
            total = sum(counter.joules() for counter in self._counters)
            self._note_gaps()
            return total
        except Exception as error:  # drivers fail in many ways, and none may stop the node
            self.note = f"{self.source.value} stopped working: {error}"
            _log.warning("%s; energy is unavailable from here on", self.note)
            self.source = EnergySource.UNAVAILABLE
            return math.nan

    def _note_gaps(self) -> None:
        gaps = sum(counter.gaps for counter in self._counters)
        if gaps != self._gaps:
            self._gaps = gaps
            self.note = f"{self.source.value} restarted ({gaps} times): joules around it are lost"
            _log.warning("%s", self.note)

    def close(self) -> None:
        """Let go of the sensor."""
        self._release()
