"""Joules per frame, with what they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from polymorph_ros.energy.reading import EnergySource


@dataclass(frozen=True)
class EnergyUse:
    """What frames cost.

    Attributes:
        joules_per_frame: NaN when unavailable.
        cpu_seconds_per_frame: CPU time of the process, all threads.
        gpu_seconds_per_frame: busy time of the GPU; 0 without one.
        source: where the joules come from; an estimate says so.
        scope: what they cover, in words.
    """

    joules_per_frame: float
    cpu_seconds_per_frame: float
    gpu_seconds_per_frame: float
    source: EnergySource
    scope: str


def energy_use(
    joules: Sequence[float],
    cpu_seconds: Sequence[float],
    gpu_seconds: Sequence[float],
    *,
    source: EnergySource,
    scope: str,
) -> EnergyUse:
    """Means over frames; joules are NaN as soon as one frame's are."""
    frames = len(joules)
    if not frames:
        return EnergyUse(math.nan, math.nan, math.nan, source, scope)
    return EnergyUse(
        sum(joules) / frames, sum(cpu_seconds) / frames, sum(gpu_seconds) / frames, source, scope
    )
