"""Latency of each stage and of the whole frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Latency:
    """Percentiles over frames, seconds; NaN without a frame."""

    p50_s: float
    p95_s: float
    p99_s: float


def latency(seconds: Sequence[float]) -> Latency:
    """Percentiles of some frames' seconds."""
    if not len(seconds):
        return Latency(float("nan"), float("nan"), float("nan"))
    return Latency(*np.percentile(np.asarray(seconds, dtype=np.float64), (50, 95, 99)).tolist())


def stage_latencies(frames: Sequence[Mapping[str, float]]) -> dict[str, Latency]:
    """Percentiles of each stage, in the order in which stages first ran.

    A frame that skipped a stage has no say in that stage's percentiles.
    """
    stages = dict.fromkeys(stage for frame in frames for stage in frame)
    return {
        stage: latency([frame[stage] for frame in frames if stage in frame]) for stage in stages
    }
