"""Pins the Jetson meter on a synthetic sysfs tree: which rails count, integration, a lost sensor.

Zeus's ``Path`` leads /sys into the tree. Not pinned: real INA3221 monitors.
"""

from __future__ import annotations

import math
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymorph_ros.energy.jetson import PowerSampler, open_jetson
from polymorph_ros.energy.meter import Meter
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.errors import PolymorphError

zeus_jetson = pytest.importorskip(
    "zeus.device.soc.jetson", reason="the library zeus is not installed"
)

DEADLINE_S = 20.0


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        pause.wait(0.005)


@pytest.fixture
def hwmon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def inside(path: str | Path) -> Path:
        text = str(path)
        return tmp_path / text.lstrip("/") if text.startswith("/sys/") else Path(text)

    monkeypatch.setattr(zeus_jetson, "Path", inside)
    folder = tmp_path / "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
    folder.mkdir(parents=True)
    return folder


def add_rail(folder: Path, channel: int, name: str, millivolts: int, milliamps: int) -> None:
    (folder / f"in{channel}_label").write_text(f"{name}\n")
    (folder / f"in{channel}_input").write_text(f"{millivolts}\n")
    (folder / f"curr{channel}_input").write_text(f"{milliamps}\n")


@pytest.fixture
def opened() -> Iterator[Callable[[], Meter]]:
    meters: list[Meter] = []

    def open_and_keep() -> Meter:
        meters.append(open_jetson())
        return meters[-1]

    yield open_and_keep
    for meter in meters:
        meter.close()


def test_measures_the_input_rail_where_there_is_one(
    hwmon: Path, opened: Callable[[], Meter]
) -> None:
    add_rail(hwmon, 1, "VDD_IN", 19_000, 1_000)
    add_rail(hwmon, 2, "VDD_CPU_GPU_CV", 19_000, 400)
    start = time.monotonic()
    meter = opened()
    wait_until(lambda: meter.read() > 0)
    joules = meter.read()
    elapsed = time.monotonic() - start

    assert 0 < joules <= 19.0 * elapsed
    assert meter.source is EnergySource.JETSON_RAILS
    assert "whole module" in meter.scope
    assert meter.resolution_s == 0.05
    assert multiprocessing.active_children() == []


def test_measures_cpu_and_gpu_rails_where_there_is_no_input_rail(
    hwmon: Path, opened: Callable[[], Meter]
) -> None:
    add_rail(hwmon, 1, "VDD_GPU_SOC", 5_000, 2_000)
    add_rail(hwmon, 2, "VDD_CPU_CV", 5_000, 1_000)

    meter = opened()

    wait_until(lambda: meter.read() > 0)
    assert "cpu and gpu rails of the module only" in meter.scope


def test_a_rail_that_vanishes_makes_the_meter_unavailable(hwmon: Path) -> None:
    power = hwmon / "in1_input"
    power.write_text("5000")
    sampler = PowerSampler(lambda: float(power.read_text()), period_s=0.001, patience_s=0.0)

    power.unlink()

    def lost() -> bool:
        try:
            sampler.joules()
        except OSError:
            return True
        return False

    wait_until(lost)
    sampler.close()


def test_the_meter_of_a_lost_sampler_reports_no_figure(
    hwmon: Path, opened: Callable[[], Meter]
) -> None:
    add_rail(hwmon, 1, "VDD_IN", 5_000, 1_000)
    meter = opened()

    (hwmon / "in1_input").unlink()

    wait_until(lambda: math.isnan(meter.read()))
    assert meter.source is EnergySource.UNAVAILABLE
    assert "in1_input" in meter.note


def test_closing_ends_the_sampling_thread(hwmon: Path) -> None:
    add_rail(hwmon, 1, "VDD_IN", 5_000, 1_000)
    meter = open_jetson()
    during = [thread.name for thread in threading.enumerate()]

    meter.close()

    assert "jetson-rails" in during
    assert "jetson-rails" not in [thread.name for thread in threading.enumerate()]


def test_says_that_the_board_has_no_rails(hwmon: Path) -> None:
    with pytest.raises(PolymorphError, match="only NVIDIA Jetson modules"):
        open_jetson()


def test_says_that_a_rail_cannot_be_read(hwmon: Path) -> None:
    add_rail(hwmon, 1, "VDD_IN", 5_000, 1_000)
    (hwmon / "in1_input").write_text("not a number")

    with pytest.raises(PolymorphError, match="readable INA3221 rails"):
        open_jetson()


@given(
    samples=st.lists(
        st.tuples(st.floats(0.001, 10.0), st.floats(0.0, 100.0)), min_size=1, max_size=30
    )
)
def test_sums_trapezoids(samples: list[tuple[float, float]]) -> None:
    now = 0.0
    moments = [(now, 5.0)]
    for step, watts in samples:
        now += step
        moments.append((now, watts))
    clock, power = iter([t for t, _ in moments]), iter([w for _, w in moments])
    sampler = PowerSampler(lambda: next(power), period_s=3600.0, clock=lambda: next(clock))
    for _ in samples:
        sampler.sample()
    expected = sum((t1 - t0) * (w0 + w1) / 2 for (t0, w0), (t1, w1) in pairwise(moments))

    assert sampler.joules() == pytest.approx(expected)
    sampler.close()
