"""Joules with the source that they come from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class EnergySource(str, Enum):
    """Where joules come from; they are never reported without it."""

    JETSON_RAILS = "jetson_rails"
    NVML = "nvml"
    RAPL = "rapl"
    RASPBERRY_PI = "raspberry_pi"
    ESTIMATED = "estimated"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class FrameEnergy:
    """What one frame cost, and all up to it.

    Attributes:
        joules: of this frame; NaN when the source is ``UNAVAILABLE``.
        mean_watts: over the ledger's window, idle time included; NaN likewise.
        total_joules: since the ledger was opened; NaN likewise.
        frames: frames counted so far, this one included.
        source: where the joules come from.
    """

    joules: float
    mean_watts: float
    total_joules: float
    frames: int
    source: EnergySource
