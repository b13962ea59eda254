"""Jetson rails: the INA3221 power monitors of NVIDIA Jetson modules, integrated over time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from polymorph_ros.energy.counter import CounterMeter, WrappingCounter
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.errors import PolymorphError

if TYPE_CHECKING:
    from zeus.device.soc.jetson import DeviceMap

# One reading costs about a millisecond on the I2C bus: 20 per second stay below 5 % of a core.
SAMPLE_PERIOD_S = 0.05

# Single readings fail on a busy bus; a sensor silent for longer than this is lost.
PATIENCE_S = 2.0


class PowerSampler:
    """Joules from a power reading: a daemon thread samples it and sums trapezoids.

    Args:
        watts: reads the present power; an OSError or ValueError is tried again until
            ``patience_s`` have passed without a reading.
    """

    def __init__(
        self,
        watts: Callable[[], float],
        period_s: float = SAMPLE_PERIOD_S,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._watts = watts
        self._period_s = period_s
        self._patience_s = patience_s
        self._clock = clock
        self._joules = 0.0
        self._time, self._power = clock(), watts()
        self._failure: Exception | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jetson-rails", daemon=True)
        self._thread.start()

    def joules(self) -> float:
        """Joules up to the last sample.

        Raises:
            OSError, ValueError: the sensor is lost.
        """
        if self._failure is not None:
            raise self._failure
        return self._joules

    def close(self) -> None:
        """Stop the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while self._failure is None and not self._stop.wait(self._period_s):
            self.sample()

    def sample(self) -> None:
        """Take one sample; the thread does so every period."""
        now = self._clock()
        try:
            power = max(0.0, self._watts())
        except (OSError, ValueError) as error:
            if now - self._time > self._patience_s:
                self._failure = error
            return
        self._joules += 0.5 * (power + self._power) * (now - self._time)
        self._time, self._power = now, power


def open_jetson() -> CounterMeter:
    """A meter over the module's input rail, or over its CPU and GPU rails where it has none.

    Zeus finds the rails; its own measurement runs in a second process that inherits the
    terminal's Ctrl-C and that answers at 10 Hz, so the sampling is done here.

    Raises:
        PolymorphError: no INA3221 rails, or they may not be read.
    """
    try:
        from zeus.device.soc import jetson
    except ImportError as error:
        raise PolymorphError(
            "the library zeus",
            str(error),
            where="jetson_rails",
            remedy="run: pip install zeus",
        ) from error

    class Rails(jetson.Jetson):
        """Zeus's rail discovery without its polling process."""

        def __init__(self) -> None:
            self.power_measurement = self._discover_available_metrics()

    try:
        rails = Rails().power_measurement
    except OSError as error:
        raise _missing(str(error)) from error
    watts, scope = _select(rails)
    try:
        sampler = PowerSampler(watts)
    except (OSError, ValueError) as error:
        raise _missing(str(error)) from error
    counter = WrappingCounter(sampler.joules)
    return CounterMeter(EnergySource.JETSON_RAILS, scope, SAMPLE_PERIOD_S, [counter], sampler.close)


def _select(rails: DeviceMap) -> tuple[Callable[[], float], str]:
    """The reading in watts that covers most of the module, and what it covers."""
    if "total_power_mw" in rails:
        total = rails["total_power_mw"]
        return lambda: total.measure_power() * 1e-3, "whole module (input rail), all processes"
    parts = [rails[rail] for rail in ("cpu_power_mw", "gpu_power_mw") if rail in rails]
    if not parts:
        raise _missing("none")
    covered = " and ".join(name for name in ("cpu", "gpu") if f"{name}_power_mw" in rails)
    return (
        lambda: sum(part.measure_power() for part in parts) * 1e-3,
        f"{covered} rails of the module only, all processes (it has no input rail)",
    )


def _missing(found: str) -> PolymorphError:
    return PolymorphError(
        "readable INA3221 rails in /sys/bus/i2c/drivers/ina3221",
        found,
        where="jetson_rails",
        remedy="only NVIDIA Jetson modules have them; in a container mount /sys (docs/energy.md)",
    )
