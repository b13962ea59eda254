"""What an energy figure is: joules with the source that they come from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class EnergySource(str, Enum):
    """Where a figure comes from; every figure carries it."""

    JETSON_RAILS = "jetson_rails"
    NVML = "nvml"
    RAPL = "rapl"
    RASPBERRY_PI = "raspberry_pi"
    ESTIMATED = "estimated"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class FrameEnergy:
    """What one frame cost, and the account up to it.

    Attributes:
        joules: of this frame; NaN when the source is ``UNAVAILABLE``.
        mean_watts: over the ledger's window, idle time included; NaN likewise.
        total_joules: since the ledger was opened; NaN likewise.
        frames: frames in the account so far, this one included.
        source: where the figures come from.
    """

    joules: float
    mean_watts: float
    total_joules: float
    frames: int
    source: EnergySource
