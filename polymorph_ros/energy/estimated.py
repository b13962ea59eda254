"""Energy without a sensor: an estimate from busy seconds, and the meter that measures nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from polymorph_ros.energy.calibration import Calibration
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.energy.uncertainty import ErrorModel, Sampling
from polymorph_ros.errors import PolymorphError

# What one busy core adds on common machines: 2 W on embedded ARM, 4 to 6 W on mobile x86
# (package power over cores), 10 W and more on desktops.
DEFAULT_CPU_WATTS = 6.0

# What a busy GPU adds: 5 to 30 W on Jetson modules, 50 W and more on laptops and desktops.
DEFAULT_GPU_WATTS = 30.0

UNCALIBRATED = ErrorModel(
    basis="assumed: a busy core draws 2 W to 12 W on common machines, so half of the joules",
    gain=0.5,
)


def process_cpu_seconds() -> float:
    """CPU seconds of all threads of this process, user and system."""
    return time.process_time_ns() * 1e-9


class EstimatedMeter:
    """Joules = CPU seconds x watts per busy core + GPU busy seconds x watts of a busy GPU.

    With a calibration, its watts, and its idle power x the time. Without one, idle power is left
    out. Memory, clocks and other processes are left out in either case.

    Args:
        cpu_watts: what one busy core draws.
        gpu_watts: what the busy GPU draws.
        gpu_seconds: GPU busy seconds so far; None counts no GPU.
        cpu_seconds: CPU seconds so far.
        calibration: takes the place of the watts above.
        clock: seconds, never falling, for idle power.

    Raises:
        PolymorphError: watts that are negative or not finite.
    """

    resolution_s = 0.0

    def __init__(
        self,
        cpu_watts: float = DEFAULT_CPU_WATTS,
        gpu_watts: float = DEFAULT_GPU_WATTS,
        gpu_seconds: Callable[[], float] | None = None,
        cpu_seconds: Callable[[], float] = process_cpu_seconds,
        calibration: Calibration | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, watts in (("cpu_watts", cpu_watts), ("gpu_watts", gpu_watts)):
            if not (math.isfinite(watts) and watts >= 0):
                raise PolymorphError("watts of at least 0", str(watts), where=name)
        if calibration is not None:
            cpu_watts = calibration.cpu_watts
            gpu_watts = gpu_watts if calibration.gpu_watts is None else calibration.gpu_watts
        self._cpu_watts = cpu_watts
        self._gpu_watts = gpu_watts
        self._cpu_seconds = cpu_seconds
        self._gpu_seconds = gpu_seconds if gpu_seconds is not None else lambda: 0.0
        self._clock = clock
        self.idle_watts = calibration.idle_watts if calibration else 0.0
        gpu = f"GPU busy seconds x {gpu_watts:g} W" if gpu_seconds is not None else "no GPU"
        work = f"CPU seconds x {cpu_watts:g} W, {gpu}"
        if calibration is None:
            self.source = EnergySource.UNCALIBRATED
            self.error = UNCALIBRATED
            self.scope = f"uncalibrated estimate for this process: {work}; idle power is left out"
        else:
            self.source = EnergySource.ESTIMATED
            self.error = ErrorModel(
                f"the calibration's fit to {calibration.reference}", calibration.relative_error
            )
            self.scope = (
                f"calibrated estimate for this process: {work}, and idle power of "
                f"{calibration.idle_watts:g} W; fitted to {calibration.reference}"
            )
        self.note = ""
        self._joules = 0.0
        self._start = self._spent()

    def read(self) -> float:
        """Estimated joules since opening."""
        self._joules = max(self._joules, self._spent() - self._start)
        return self._joules

    def sampling(self) -> Sampling:
        """Nothing is sampled."""
        return Sampling()

    def close(self) -> None:
        """Nothing to let go of."""

    def _spent(self) -> float:
        work = self._cpu_seconds() * self._cpu_watts + self._gpu_seconds() * self._gpu_watts
        return work + self._clock() * self.idle_watts


class UnavailableMeter:
    """Measures nothing: every reading is NaN."""

    source = EnergySource.UNAVAILABLE
    error = ErrorModel(basis="nothing is measured")
    idle_watts = math.nan
    scope = "nothing is measured"
    resolution_s = 0.0
    note = ""

    def read(self) -> float:
        """NaN."""
        return math.nan

    def sampling(self) -> Sampling:
        """Nothing."""
        return Sampling()

    def close(self) -> None:
        """Nothing to let go of."""
