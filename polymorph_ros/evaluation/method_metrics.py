"""All metrics of one method, from its frame logs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.average_precision import label_average_precision
from polymorph_ros.evaluation.frame_log import FrameLog, stack
from polymorph_ros.evaluation.metrics.bootstrap import (
    Interval,
    bootstrap_mean_ap,
    draw_weights,
    interval,
    resampling_units,
)
from polymorph_ros.evaluation.metrics.calibration import calibration_error
from polymorph_ros.evaluation.metrics.cover_use import CoverUse, cover_use
from polymorph_ros.evaluation.metrics.discovery import Discovery, discovery, sequence_delays
from polymorph_ros.evaluation.metrics.energy import EnergyUse, Metering, energy_use
from polymorph_ros.evaluation.metrics.f1 import F1, f1
from polymorph_ros.evaluation.metrics.latency import Latency, latency, stage_latencies


@dataclass(frozen=True)
class Gain:
    """How much more mean AP a method has than Polymorph, on the same draws of sequences."""

    mean_ap: float
    interval: Interval


@dataclass(frozen=True)
class MethodMetrics:
    """What one method came to; NaN where something is unknown.

    Attributes:
        interval_over: what the interval of mean AP draws, in words.
        gain: against Polymorph; None for itself, or where it did not run.
        label_ap: by label; NaN for labels without a positive frame.
        seconds_per_frame: mean wall seconds.
        peak_bytes: as ``peak_memory`` says; None where it was not measured.
    """

    method: str
    frames: int
    sequences: int
    mean_ap: float
    mean_ap_interval: Interval
    interval_over: str
    gain: Gain | None
    label_ap: Mapping[str, float]
    f1: F1
    calibration_error: float
    discovery: Discovery
    cover: CoverUse
    seconds_per_frame: float
    latency: Latency
    stages: Mapping[str, Latency]
    energy: EnergyUse
    peak_bytes: int | None

    def row(self) -> dict[str, Any]:
        """One flat row for tables and JSON; None where something is unknown."""
        values: dict[str, Any] = {
            "method": self.method,
            "mean_ap": self.mean_ap,
            "mean_ap_low": self.mean_ap_interval.low,
            "mean_ap_high": self.mean_ap_interval.high,
            "joules_per_frame": self.energy.joules_per_frame,
            "seconds_per_frame": self.seconds_per_frame,
            "joules_per_frame_error": self.energy.joules_error,
            "energy_source": self.energy.source.value,
            "watts_above_idle": self.energy.watts_above_idle,
            "watt_hours": self.energy.watt_hours,
            "battery_hours": self.energy.battery_hours,
            "adapters_per_frame": self.cover.adapters_per_frame,
            "peak_bytes": self.peak_bytes,
            "frames": self.frames,
            "sequences": self.sequences,
            "interval_over": self.interval_over,
            "mean_ap_gain": self.gain.mean_ap if self.gain else None,
            "mean_ap_gain_low": self.gain.interval.low if self.gain else None,
            "mean_ap_gain_high": self.gain.interval.high if self.gain else None,
            "micro_f1": self.f1.micro,
            "macro_f1": self.f1.macro,
            "calibration_error": self.calibration_error,
            "discovery_p50_s": self.discovery.p50_s,
            "discovery_p95_s": self.discovery.p95_s,
            "appearances": self.discovery.appearances,
            "appearances_missed": self.discovery.missed,
            "cover_changes_per_minute": self.cover.changes_per_minute,
            "seconds_p50": self.latency.p50_s,
            "seconds_p95": self.latency.p95_s,
            "seconds_p99": self.latency.p99_s,
            "cpu_seconds_per_frame": self.energy.cpu_seconds_per_frame,
            "gpu_seconds_per_frame": self.energy.gpu_seconds_per_frame,
        }
        return {name: plain(value) for name, value in values.items()}

    def details(self) -> dict[str, Any]:
        """The row, the metrics by label and by stage."""
        return {
            **self.row(),
            "label_ap": {name: plain(value) for name, value in self.label_ap.items()},
            "stages": {
                name: {key: plain(value) for key, value in asdict(stage).items()}
                for name, stage in self.stages.items()
            },
        }


def plain(value: Any) -> Any:
    """None for a number that is not finite: JSON has no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True)
class Costs:
    """What is known of the costs beside the frame logs.

    Attributes:
        metering: how joules were measured.
        peak_bytes: peak memory by method, where it was measured.
    """

    metering: Metering
    peak_bytes: Mapping[str, int]


def all_metrics(
    logs: Mapping[str, Sequence[FrameLog]], costs: Costs, reference: str
) -> tuple[MethodMetrics, ...]:
    """The metrics of all methods, on the same draws of sequences.

    Args:
        logs: of each method, the same sequences in the same order, none empty.
        costs: what else is known.
        reference: the method that gains are differences to.
    """
    unit, words = resampling_units([log.stamps_s for log in next(iter(logs.values()))])
    weights = draw_weights(int(unit.max()) + 1)
    accuracies = {
        method: _accuracy(stack(of, "scores"), stack(of, "truth"), unit, weights)
        for method, of in logs.items()
    }
    return tuple(
        _metrics(method, of, accuracies[method], accuracies.get(reference), words, costs)
        for method, of in logs.items()
    )


@dataclass(frozen=True)
class _Accuracy:
    """Average precision by label, its mean, and the mean in every draw."""

    labels: NDArray[np.float64]
    mean: float
    draws: NDArray[np.float64]


def _accuracy(
    scores: NDArray[np.float32],
    truth: NDArray[np.int8],
    unit: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> _Accuracy:
    labels = label_average_precision(scores, truth)
    mean = float(np.nanmean(labels)) if np.isfinite(labels).any() else math.nan
    # draws of a single unit are all the same
    few = weights.shape[1] < 2
    draws = np.full(1, np.nan) if few else bootstrap_mean_ap(scores, truth, unit, weights)
    return _Accuracy(labels, mean, draws)


def _metrics(
    method: str,
    logs: Sequence[FrameLog],
    accuracy: _Accuracy,
    reference: _Accuracy | None,
    words: str,
    costs: Costs,
) -> MethodMetrics:
    gain = None
    if reference is not None and reference is not accuracy:
        between = interval(accuracy.draws - reference.draws)
        gain = Gain(accuracy.mean - reference.mean, between)
    seconds = stack(logs, "seconds").tolist()
    return MethodMetrics(
        method=method,
        frames=len(seconds),
        sequences=len(logs),
        mean_ap=accuracy.mean,
        mean_ap_interval=interval(accuracy.draws),
        interval_over=words,
        gain=gain,
        label_ap=dict(zip(logs[0].labels, accuracy.labels.tolist(), strict=True)),
        f1=f1(stack(logs, "active"), stack(logs, "truth")),
        calibration_error=calibration_error(stack(logs, "scores"), stack(logs, "truth")),
        discovery=discovery(
            delay for log in logs for delay in sequence_delays(log.active, log.truth, log.stamps_s)
        ),
        cover=cover_use(
            [np.array([len(names) for names in log.adapters], np.int64) for log in logs],
            [log.changed for log in logs],
            [float(log.stamps_s[-1]) for log in logs],
        ),
        seconds_per_frame=float(np.mean(seconds)),
        latency=latency(seconds),
        stages=stage_latencies([stages for log in logs for stages in log.stage_seconds]),
        energy=energy_use(
            stack(logs, "joules").tolist(),
            stack(logs, "cpu_seconds").tolist(),
            stack(logs, "gpu_seconds").tolist(),
            seconds=seconds,
            metering=costs.metering,
            video_s=sum(float(log.stamps_s[-1]) for log in logs),
        ),
        peak_bytes=costs.peak_bytes.get(method),
    )
