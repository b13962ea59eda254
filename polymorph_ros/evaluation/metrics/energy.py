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
        watts_above_idle: mean at the data's own pace, frame by frame as they were recorded; NaN
            where idle power is unknown.
        watt_hours: of all frames.
        battery_hours: that the battery lasts at that pace, idle power included; NaN without one.
    """

    joules_per_frame: float
    cpu_seconds_per_frame: float
    gpu_seconds_per_frame: float
    source: EnergySource
    scope: str
    joules_error: float = math.nan
    watts_above_idle: float = math.nan
    watt_hours: float = math.nan
    battery_hours: float = math.nan


@dataclass(frozen=True)
class Metering:
    """How joules were measured: around blocks of frames.

    Attributes:
        source: where they come from.
        scope: what they cover, in words.
        error: what is known of the source's errors.
        renewal_s: between two renewals of its reading.
        block: frames between two readings.
        idle_watts: what the source shows while nothing runs; NaN where that is unknown.
        battery_wh: watt-hours of a battery; 0 for none.
    """

    source: EnergySource
    scope: str
    error: ErrorModel
    renewal_s: float = 0.0
    block: int = 1
    idle_watts: float = math.nan
    battery_wh: float = 0.0

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
    video_s: float = math.nan,
) -> EnergyUse:
    """Means over frames; joules are NaN as soon as one frame's are.

    Args:
        video_s: from the first to the last frame of every sequence, as recorded.
    """
    frames = len(joules)
    source, scope = metering.source, metering.scope
    if not frames:
        return EnergyUse(math.nan, math.nan, math.nan, source, scope)
    above_w = (sum(joules) - metering.idle_watts * sum(seconds)) / video_s if video_s else math.nan
    watts = metering.idle_watts + (above_w if math.isnan(above_w) else max(0.0, above_w))
    return EnergyUse(
        sum(joules) / frames,
        sum(cpu_seconds) / frames,
        sum(gpu_seconds) / frames,
        source,
        scope,
        metering.error_per_frame(sum(joules), sum(seconds), frames),
        watts_above_idle=watts - metering.idle_watts,
        watt_hours=sum(joules) / 3600.0,
        battery_hours=metering.battery_wh / watts if metering.battery_wh and watts else math.nan,
    )
