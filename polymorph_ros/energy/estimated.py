"""Energy without a sensor: an estimate from busy seconds, and the meter that measures nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.errors import PolymorphError

# What one busy core adds on common machines: 2 W on embedded ARM, 4 to 6 W on mobile x86
# (package power over cores), 10 W and more on desktops.
DEFAULT_CPU_WATTS = 6.0

# What a busy GPU adds: 5 to 30 W on Jetson modules, 50 W and more on laptops and desktops.
DEFAULT_GPU_WATTS = 30.0


def process_cpu_seconds() -> float:
    """CPU seconds of all threads of this process, user and system."""
    return time.process_time_ns() * 1e-9


class EstimatedMeter:
    """Joules = CPU seconds x watts per busy core + GPU busy seconds x watts of a busy GPU.

    An estimate: it knows nothing of idle power, memory, clocks or other processes.

    Args:
        cpu_watts: what one busy core draws.
        gpu_watts: what the busy GPU draws.
        gpu_seconds: GPU busy seconds so far; None counts no GPU.
        cpu_seconds: CPU seconds so far.

    Raises:
        PolymorphError: watts that are negative or not finite.
    """

    source = EnergySource.ESTIMATED
    resolution_s = 0.0

    def __init__(
        self,
        cpu_watts: float = DEFAULT_CPU_WATTS,
        gpu_watts: float = DEFAULT_GPU_WATTS,
        gpu_seconds: Callable[[], float] | None = None,
        cpu_seconds: Callable[[], float] = process_cpu_seconds,
    ) -> None:
        for name, watts in (("cpu_watts", cpu_watts), ("gpu_watts", gpu_watts)):
            if not (math.isfinite(watts) and watts >= 0):
                raise PolymorphError("watts of at least 0", str(watts), where=name)
        self._cpu_watts = cpu_watts
        self._gpu_watts = gpu_watts
        self._cpu_seconds = cpu_seconds
        self._gpu_seconds = gpu_seconds if gpu_seconds is not None else lambda: 0.0
        gpu = f"GPU busy seconds x {gpu_watts:g} W" if gpu_seconds is not None else "no GPU"
        self.scope = f"estimate for this process: CPU seconds x {cpu_watts:g} W, {gpu}"
        self.note = ""
        self._joules = 0.0
        self._start = self._spent()

    def read(self) -> float:
        """Estimated joules since opening."""
        self._joules = max(self._joules, self._spent() - self._start)
        return self._joules

    def close(self) -> None:
        """Nothing to let go of."""

    def _spent(self) -> float:
        return self._cpu_seconds() * self._cpu_watts + self._gpu_seconds() * self._gpu_watts


class UnavailableMeter:
    """Measures nothing: every reading is NaN."""

    source = EnergySource.UNAVAILABLE
    scope = "nothing is measured"
    resolution_s = 0.0
    note = ""

    def read(self) -> float:
        """NaN."""
        return math.nan

    def close(self) -> None:
        """Nothing to let go of."""
