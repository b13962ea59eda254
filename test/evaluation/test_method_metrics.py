"""Pins how a method's metrics come from its frames: what is compared, and what is summed up."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.energy.uncertainty import ErrorModel
from polymorph_ros.evaluation.frame_log import Cost, FrameLog, FrameLogBuilder
from polymorph_ros.evaluation.method_metrics import Costs, MethodMetrics, all_metrics
from polymorph_ros.evaluation.methods.method import Labelled
from polymorph_ros.evaluation.metrics.energy import Metering

METERING = Metering(EnergySource.ESTIMATED, "a guess", ErrorModel("a guess", gain=0.1))
COSTS = Costs(METERING, {"good": 5})
FRAMES = 40


def log(sequence: int, noise: float, adapters: Sequence[str] = ("a",)) -> FrameLog:
    """One label, present every other frame; scores tell it as well as the noise lets them."""
    rng = np.random.default_rng(sequence)
    built = FrameLogBuilder(f"s{sequence}", ("cup",))
    for frame in range(FRAMES):
        present = frame % 2 == 0
        score = np.clip(0.5 + (0.2 if present else -0.2) + noise * rng.normal(), 0, 1)
        said = Labelled(
            np.array([score], np.float32),
            np.array([score > 0.5]),
            tuple(adapters),
            frame == 20,
            {"trunk": 0.01},
        )
        cost = Cost(0.02, 0.5, 0.015, 0.0)
        built.add(frame, frame * 500_000_000, np.array([present], np.int8), said, cost)
    return built.build()


@pytest.fixture(scope="module")
def metrics() -> dict[str, MethodMetrics]:
    logs = {
        "reference": [log(sequence, 0.4) for sequence in range(6)],
        "good": [log(sequence, 0.0, ("a", "b")) for sequence in range(6)],
    }
    return {one.method: one for one in all_metrics(logs, COSTS, "reference")}


def test_a_better_method_gains_on_the_reference(metrics: dict[str, MethodMetrics]) -> None:
    good, reference = metrics["good"], metrics["reference"]

    assert good.mean_ap == 1.0
    assert reference.gain is None
    assert good.gain is not None
    assert good.gain.mean_ap == pytest.approx(1.0 - reference.mean_ap)
    assert 0 < good.gain.interval.low <= good.gain.mean_ap <= good.gain.interval.high
    low, high = reference.mean_ap_interval.low, reference.mean_ap_interval.high
    assert low <= reference.mean_ap <= high


def test_costs_are_means_over_frames(metrics: dict[str, MethodMetrics]) -> None:
    row = metrics["good"].row()

    assert row["joules_per_frame"] == pytest.approx(0.5)
    assert row["seconds_per_frame"] == pytest.approx(0.02)
    assert row["cpu_seconds_per_frame"] == pytest.approx(0.015)
    assert row["adapters_per_frame"] == 2.0
    assert row["cover_changes_per_minute"] == pytest.approx(6 / (6 * 39 * 0.5 / 60))
    assert row["energy_source"] == "estimated"
    assert row["joules_per_frame_error"] == pytest.approx(0.05)
    assert row["peak_bytes"] == 5
    assert metrics["reference"].row()["peak_bytes"] is None


def test_a_row_holds_nothing_that_json_has_not(metrics: dict[str, MethodMetrics]) -> None:
    unknown = [log(0, 0.0)]
    unknown[0].truth[:] = -1

    (one,) = all_metrics({"reference": unknown}, COSTS, "reference")

    values = one.row().values()
    assert not any(isinstance(value, float) and not math.isfinite(value) for value in values)
    assert one.row()["mean_ap"] is None


def test_a_short_single_sequence_has_no_interval() -> None:
    short = FrameLogBuilder("short", ("cup",))
    said = Labelled(np.array([0.9], np.float32), np.array([True]), (), False, {})
    short.add(0, 0, np.array([1], np.int8), said, Cost(0.1, 0.1, 0.1, 0.0))

    (one,) = all_metrics({"reference": [short.build()]}, COSTS, "reference")

    assert one.mean_ap == 1.0
    assert math.isnan(one.mean_ap_interval.low)
