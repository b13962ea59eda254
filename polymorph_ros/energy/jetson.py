"""Jetson rails: the power monitors of NVIDIA Jetson modules, integrated over time.

The rails are read here and not by Zeus 0.16: it knows the INA3221 only, lets the last rail whose
name holds ``_in`` stand for the whole module, and takes hwmon's microwatts for milliwatts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from polymorph_ros.energy.counter import CounterMeter, WrappingCounter
from polymorph_ros.energy.hwmon import Watts, find_rails
from polymorph_ros.energy.jetson_modules import Module, find_module
from polymorph_ros.energy.power import PowerSampler
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.energy.uncertainty import ErrorModel
from polymorph_ros.errors import PolymorphError

# One reading costs about a millisecond on the I2C bus: 20 per second stay below 5 % of a core.
SAMPLE_PERIOD_S = 0.05

ERROR = ErrorModel(
    basis="assumed: readings within 5 % (two standard errors), averaged by the monitor over up to "
    "100 ms, in steps of 40 mW at 5 V (INA3221 data sheet: 40 uV over 5 mOhm)",
    gain=0.025,
    delay_s=0.1,
    quantum_watts=0.04,
    cpu_of_others=True,
)

SYSFS = Path("/sys")


def open_jetson() -> CounterMeter:
    """A meter over the module's input rail, or over its other rails where it has none.

    Raises:
        PolymorphError: no rails that are known, they may not be read, or they read more than
            the module can take.
    """
    try:
        rails = find_rails(SYSFS)
        module = find_module(SYSFS, frozenset(rails))
        watts, scope = choose_rails(module, rails)
        sampler = PowerSampler(
            watts, period_s=SAMPLE_PERIOD_S, most_watts=module.most_watts, name="jetson-rails"
        )
    except (OSError, ValueError) as error:
        raise _missing(str(error)) from error
    counter = WrappingCounter(sampler.joules)
    return CounterMeter(
        EnergySource.JETSON_RAILS,
        scope,
        SAMPLE_PERIOD_S,
        [counter],
        ERROR,
        release=sampler.close,
        sampling=sampler.sampling,
    )


def choose_rails(module: Module, rails: Mapping[str, Watts]) -> tuple[Watts, str]:
    """The reading in watts that covers most of the module, and what it covers."""
    for label in module.inputs:
        if label in rails:
            return rails[label], f"whole module{module.beside} ({label}), all processes"
    parts = [label for label in module.parts if label in rails]
    if not parts:
        raise _missing(", ".join(sorted(rails)) or "none")
    readings, names = [rails[label] for label in parts], ", ".join(parts)
    scope = f"whole module (sum of its rails {names}), all processes"
    missing = [label for label in (module.inputs or module.parts) if label not in parts]
    if missing:
        scope = (
            f"rails {names} of the module only, all processes; the rest is left out "
            f"(no rail {' or '.join(missing)} that this reader knows)"
        )
    return lambda: sum(reading() for reading in readings), scope


def _missing(found: str) -> PolymorphError:
    return PolymorphError(
        "readable INA3221 or INA238 rails of a Jetson in /sys/bus/i2c/drivers",
        found,
        where="jetson_rails",
        remedy="only NVIDIA Jetson modules have them; in a container mount /sys (docs/energy.md)",
    )
