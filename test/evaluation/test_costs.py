"""Pins the metrics of cost: adapters, changes of the cover, latency, joules."""

from __future__ import annotations

import math

import numpy as np
import pytest

from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.energy.uncertainty import ErrorModel
from polymorph_ros.evaluation.metrics.cover_use import cover_use
from polymorph_ros.evaluation.metrics.energy import Metering, energy_use
from polymorph_ros.evaluation.metrics.latency import latency, stage_latencies


def test_the_first_frame_of_a_sequence_changes_no_cover() -> None:
    use = cover_use(
        [np.array([1, 2, 2]), np.array([1])],
        [np.array([True, True, False]), np.array([True])],
        [30.0, 0.0],
    )

    assert use.adapters_per_frame == 1.5
    assert use.changes_per_minute == pytest.approx(2.0)


def test_single_pictures_have_no_changes_per_minute() -> None:
    use = cover_use([np.array([1])], [np.array([True])], [0.0])

    assert math.isnan(use.changes_per_minute)


def test_a_stage_that_some_frames_skip_is_summed_over_the_others() -> None:
    stages = stage_latencies([{"trunk": 1.0, "tails": 3.0}, {"trunk": 2.0}])

    assert list(stages) == ["trunk", "tails"]
    assert stages["trunk"].p50_s == 1.5
    assert stages["tails"].p99_s == 3.0
    assert math.isnan(latency([]).p50_s)


def test_one_frame_without_joules_makes_the_mean_unavailable() -> None:
    metering = Metering(EnergySource.UNAVAILABLE, "nothing", ErrorModel("nothing"))
    use = energy_use([1.0, math.nan], [0.1, 0.3], [0.0, 0.0], seconds=[0.1, 0.1], metering=metering)

    assert math.isnan(use.joules_per_frame)
    assert math.isnan(use.joules_error)
    assert use.cpu_seconds_per_frame == pytest.approx(0.2)


def test_power_is_told_at_the_pace_of_the_data_and_above_idle() -> None:
    metering = Metering(
        EnergySource.ESTIMATED, "all", ErrorModel("known"), idle_watts=4.0, battery_wh=12.0
    )
    joules, seconds = [0.6, 1.4], [0.1, 0.2]  # 1.2 J of it are idle power
    use = energy_use(joules, [0.0] * 2, [0.0] * 2, seconds=seconds, metering=metering, video_s=0.4)

    assert use.watts_above_idle == pytest.approx(0.8 / 0.4)
    assert use.watt_hours == pytest.approx(2.0 / 3600.0)
    assert use.battery_hours == pytest.approx(12.0 / 6.0)


def test_without_idle_power_or_a_battery_those_values_are_unknown() -> None:
    metering = Metering(EnergySource.RAPL, "a CPU", ErrorModel("known"))
    use = energy_use([1.0], [0.1], [0.0], seconds=[0.1], metering=metering, video_s=1.0)

    assert math.isnan(use.watts_above_idle)
    assert math.isnan(use.battery_hours)


def test_the_error_of_the_mean_holds_scale_and_the_ends_of_blocks() -> None:
    scale = Metering(EnergySource.RAPL, "a CPU", ErrorModel("a scale", gain=0.03))
    slow = Metering(EnergySource.NVML, "a GPU", ErrorModel("a delay", delay_s=0.1), 0.1, block=32)

    assert scale.error_per_frame(100.0, 10.0, 1000) == pytest.approx(0.003)
    short, long = (slow.error_per_frame(0.1 * n, 0.01 * n, n) / 0.1 for n in (32, 3200))
    assert 0.1 < long < short
