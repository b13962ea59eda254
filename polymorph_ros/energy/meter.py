"""What a meter is, and which one this machine has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from polymorph_ros.energy.calibration import Calibration
from polymorph_ros.energy.estimated import (
    DEFAULT_CPU_WATTS,
    DEFAULT_GPU_WATTS,
    EstimatedMeter,
    UnavailableMeter,
)
from polymorph_ros.energy.jetson import open_jetson
from polymorph_ros.energy.nvml import open_nvml
from polymorph_ros.energy.rapl import open_rapl
from polymorph_ros.energy.raspberry_pi import open_raspberry_pi
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.energy.uncertainty import ErrorModel, Sampling
from polymorph_ros.errors import PolymorphError


class Meter(Protocol):
    """Joules from one source. Not safe for several threads at once: the ledger locks it."""

    @property
    def source(self) -> EnergySource:
        """Where the joules come from; ``UNAVAILABLE`` once a sensor is lost."""

    @property
    def scope(self) -> str:
        """What the joules cover, in plain words."""

    @property
    def resolution_s(self) -> float:
        """Seconds between two renewals of the reading; 0 for one that is always current."""

    @property
    def error(self) -> ErrorModel:
        """What is known of its errors."""

    @property
    def idle_watts(self) -> float:
        """What it shows of a machine that does nothing, watts; NaN where that must be measured."""

    @property
    def note(self) -> str:
        """Why better sensors are not used, or why this one was lost; empty if neither."""

    def read(self) -> float:
        """Joules since opening, never falling; NaN when unavailable."""

    def sampling(self) -> Sampling:
        """What it does not know of the power between its samples; nothing of a counter."""

    def close(self) -> None:
        """Let go of the sensor."""


# The sensors, in the order in which "auto" tries them; each is given the model's device.
_SENSORS: Mapping[str, Callable[[str], Meter]] = {
    "jetson_rails": lambda _device: open_jetson(),
    "nvml": open_nvml,
    "rapl": lambda _device: open_rapl(),
    "raspberry_pi": lambda _device: open_raspberry_pi(),
}
METER_KINDS: tuple[str, ...] = ("auto", *_SENSORS, "estimated", "none")


def open_meter(
    kind: str = "auto",
    *,
    cpu_watts: float = DEFAULT_CPU_WATTS,
    gpu_watts: float = DEFAULT_GPU_WATTS,
    device: str = "cpu",
    gpu_seconds: Callable[[], float] | None = None,
    calibration: Calibration | None = None,
) -> Meter:
    """Open the meter of the given kind; "auto" takes the best one that works here.

    "auto" asks NVML only if the device is a CUDA one, and ends with the estimate.

    Args:
        kind: one of ``METER_KINDS``.
        cpu_watts: of one busy core, for the estimate.
        gpu_watts: of the busy GPU, for the estimate.
        device: where the model runs, as torch names it.
        gpu_seconds: GPU busy seconds so far, for the estimate.
        calibration: of this machine, for the estimate; takes the place of the watts.

    Raises:
        PolymorphError: the sensor asked for is not there (it says what to do), an unknown
            kind, or watts that are negative or not finite.
    """
    estimated = EstimatedMeter(cpu_watts, gpu_watts, gpu_seconds, calibration=calibration)
    if kind == "auto":
        return _best(device, estimated)
    if kind == "estimated":
        return estimated
    if kind == "none":
        return UnavailableMeter()
    if kind not in _SENSORS:
        raise PolymorphError(f"one of {', '.join(METER_KINDS)}", repr(kind), where="energy source")
    return _open(kind, device)


def _open(kind: str, device: str) -> Meter:
    try:
        return _SENSORS[kind](device)
    except ImportError as error:
        raise PolymorphError(
            "the library zeus", str(error), where=kind, remedy="run: pip install zeus"
        ) from error


def _best(device: str, estimated: EstimatedMeter) -> Meter:
    """The first sensor that opens, else the estimate, with the reasons of those that did not."""
    reasons: list[str] = []
    for sensor in _SENSORS:
        if sensor == "nvml" and not device.startswith("cuda"):
            continue
        try:
            return _open(sensor, device)
        except PolymorphError as error:
            reasons.append(str(error))
    estimated.note = "no energy sensor is used: " + " | ".join(reasons)
    return estimated
