"""Joules with the source that they come from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum


class EnergySource(str, Enum):
    """Where joules come from; they are never reported without it."""

    JETSON_RAILS = "jetson_rails"
    NVML = "nvml"
    RAPL = "rapl"
    RASPBERRY_PI = "raspberry_pi"
    ESTIMATED = "estimated"  # by a calibration of this machine
    UNCALIBRATED = "uncalibrated_estimate"  # by assumed watts
    UNAVAILABLE = "unavailable"


ESTIMATES = (EnergySource.ESTIMATED, EnergySource.UNCALIBRATED)
"""The sources that are no sensor."""


@dataclass(frozen=True)
class FrameEnergy:
    """What one frame cost, and all up to it.

    The true joules lie within 1.96 standard errors 95 % of the time, as far as the source's
    ``ErrorModel`` is right.

    Attributes:
        joules: of this frame; NaN when the source is ``UNAVAILABLE``.
        mean_watts: over the ledger's window, idle time included; NaN likewise.
        total_joules: since the ledger was opened; NaN likewise.
        frames: frames in the ledger so far, this one included.
        source: where the joules come from.
        joules_error: standard error of ``joules``, for what this process spent; NaN where unknown.
        idle_watts: what the meter shows while nothing runs; NaN where that was not measured.
        joules_above_idle: ``joules`` less idle power over the frame's seconds, at least 0; NaN
            likewise.
    """

    joules: float
    mean_watts: float
    total_joules: float
    frames: int
    source: EnergySource
    joules_error: float = math.nan
    idle_watts: float = math.nan
    joules_above_idle: float = math.nan
