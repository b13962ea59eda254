"""Joules per frame, with what they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.energy.uncertainty import ErrorModel, JoulesError, Sampling, difference_error


@dataclass(frozen=True)
class EnergyUse:
    """What frames cost.

    Attributes:
        joules_per_frame: NaN when unavailable.
        cpu_seconds_per_frame: CPU time of the process, all threads.
        gpu_seconds_per_frame: busy time of the GPU; 0 without one.
        source: where the joules come from; an estimate says so.
        scope: what they cover, in words.
        joules_error: standard error of ``joules_per_frame``; NaN when unavailable.
    """

    joules_per_frame: float
    cpu_seconds_per_frame: float
    gpu_seconds_per_frame: float
    source: EnergySource
    scope: str
    joules_error: float = math.nan


@dataclass(frozen=True)
class Metering:
    """How joules were measured: around blocks of frames.

    Attributes:
        source: where they come from.
        scope: what they cover, in words.
        error: what is known of the source's errors.
        renewal_s: between two renewals of its reading.
        block: frames between two readings.
    """

    source: EnergySource
    scope: str
    error: ErrorModel
    renewal_s: float = 0.0
    block: int = 1

    def error_per_frame(self, joules: float, seconds: float, frames: int) -> float:
        """Standard error of the mean joules of frames that took so many joules and seconds."""
        if not math.isfinite(joules):
            return math.nan
        blocks = max(1, math.ceil(frames / self.block))
        around = Sampling(low=0.0, high=2.0 * joules / seconds if seconds > 0 else 0.0)
        one = difference_error(
            self.error, self.renewal_s, seconds / blocks, joules / blocks, around
        )
        every = JoulesError(blocks * one.variance, blocks * one.systematic)
        return every.standard_error / frames


def energy_use(
    joules: Sequence[float],
    cpu_seconds: Sequence[float],
    gpu_seconds: Sequence[float],
    *,
    seconds: Sequence[float],
    metering: Metering,
) -> EnergyUse:
    """Means over frames; joules are NaN as soon as one frame's are."""
    frames = len(joules)
    source, scope = metering.source, metering.scope
    if not frames:
        return EnergyUse(math.nan, math.nan, math.nan, source, scope)
    return EnergyUse(
        sum(joules) / frames,
        sum(cpu_seconds) / frames,
        sum(gpu_seconds) / frames,
        source,
        scope,
        metering.error_per_frame(sum(joules), sum(seconds), frames),
    )
