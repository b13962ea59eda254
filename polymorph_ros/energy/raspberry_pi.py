"""Raspberry Pi 5: the rails of its power management chip, as the firmware gives them.

Zeus 0.16 has no meter for it, and the kernel shows no currents in sysfs.
"""

from __future__ import annotations

import re
import subprocess

from polymorph_ros.energy.counter import CounterMeter, WrappingCounter
from polymorph_ros.energy.power import PowerSampler
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.energy.uncertainty import ErrorModel
from polymorph_ros.errors import PolymorphError

_COMMAND = ("vcgencmd", "pmic_read_adc")
_LINE = re.compile(r"(\w+)_([AV]) (?:current|volt)\(\d+\)=([\d.]+)[AV]")

# Each reading starts a process.
SAMPLE_PERIOD_S = 0.2
ERROR = ErrorModel(
    basis="assumed: 5 % of scale; the chip's accuracy is not published",
    gain=0.05,
    delay_s=0.05,
    quantum_watts=0.01,
    cpu_of_others=True,
)
_MOST_WATTS = 40.0  # the supply gives 5 A at 5 V


def open_raspberry_pi() -> CounterMeter:
    """A meter over all rails of which the chip knows voltage and current.

    Raises:
        PolymorphError: no such chip, or it may not be asked.
    """
    try:
        sampler = PowerSampler(
            _watts, period_s=SAMPLE_PERIOD_S, most_watts=_MOST_WATTS, name="raspberry-pi"
        )
    except (OSError, ValueError) as error:
        raise PolymorphError(
            f"rails by {' '.join(_COMMAND)}",
            str(error),
            where="raspberry_pi",
            remedy="only the Raspberry Pi 5 measures currents; the user must be in group video",
        ) from error
    counter = WrappingCounter(sampler.joules)
    scope = "the board's rails, all processes; conversion losses, USB and HATs are left out"
    return CounterMeter(
        EnergySource.RASPBERRY_PI,
        scope,
        SAMPLE_PERIOD_S,
        [counter],
        ERROR,
        release=sampler.close,
        sampling=sampler.sampling,
    )


def _watts() -> float:
    try:
        answer = subprocess.run(_COMMAND, capture_output=True, text=True, timeout=2, check=False)
    except subprocess.TimeoutExpired as error:
        raise OSError(str(error)) from error
    values = {(rail, unit): float(value) for rail, unit, value in _LINE.findall(answer.stdout)}
    rails = [rail for rail, unit in values if unit == "A" and (rail, "V") in values]
    if not rails:
        raise ValueError((answer.stdout + answer.stderr).strip()[:200] or "no answer")
    return sum(values[rail, "A"] * values[rail, "V"] for rail in rails)
