"""Pins the Jetson meter on written sysfs trees, one for each module: which rails count, in which
unit, what is left out, integration, a lost sensor.

The trees have the labels and the depth that NVIDIA's guides and Linux's device trees give. Open:
real monitors.
"""

from __future__ import annotations

import math
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymorph_ros.energy import jetson
from polymorph_ros.energy.hwmon import find_rails
from polymorph_ros.energy.jetson import choose_rails, open_jetson
from polymorph_ros.energy.jetson_modules import find_module
from polymorph_ros.energy.meter import Meter
from polymorph_ros.energy.power import PowerSampler
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.errors import PolymorphError

DEADLINE_S = 20.0


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        pause.wait(0.005)


@pytest.fixture
def sysfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(jetson, "SYSFS", tmp_path)
    return tmp_path


@pytest.fixture
def hwmon(sysfs: Path) -> Path:
    folder = sysfs / "bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
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
    assert "rails VDD_GPU_SOC, VDD_CPU_CV of the module only" in meter.scope
    assert "the rest is left out" in meter.scope


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

    with pytest.raises(PolymorphError, match="readable INA3221 or INA238 rails"):
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


@dataclass(frozen=True)
class Board:
    """A module on its carrier board: watts by label, the monitors' addresses in order."""

    compatible: str
    monitors: tuple[tuple[str, dict[str, float]], ...]
    watts: float
    scope: str


BOARDS = {
    "Nano": Board(
        "nvidia,p3449-0000-b00+p3448-0000-b00",
        (("6-0040", {"POM_5V_IN": 5.0, "POM_5V_GPU": 1.0, "POM_5V_CPU": 2.0}),),
        5.0,
        "whole module (POM_5V_IN)",
    ),
    "TX1": Board(
        "nvidia,p2371-2180",
        (
            ("1-0040", {"VDD_IN": 9.0, "VDD_GPU": 3.0, "VDD_CPU": 2.0}),
            ("1-0042", {"VDD_MUX": 14.0, "VDD_5V_IO_SYS": 1.0, "VDD_3V3_SYS": 1.0}),
            ("1-0043", {"VDD_3V3_IO": 0.1, "VDD_1V8_IO": 0.1, "VDD_M2_IN": 0.2}),
        ),
        9.0,
        "whole module (VDD_IN)",
    ),
    "TX2": Board(
        "nvidia,p2771-0000\0nvidia,p3310",
        (
            ("0-0040", {"VDD_SYS_GPU": 2.0, "VDD_SYS_SOC": 1.0, "VDD_4V0_WIFI": 0.1}),
            ("0-0041", {"VDD_IN": 8.0, "VDD_SYS_CPU": 1.0, "VDD_SYS_DDR": 1.0}),
            ("0-0042", {"VDD_MUX": 12.0, "VDD_5V0_IO_SYS": 1.0, "VDD_3V3_SYS": 1.0}),
            ("0-0043", {"VDD_3V3_IO_SLP": 0.1, "VDD_1V8_IO": 0.1, "VDD_M2_IN": 0.2}),
        ),
        8.0,
        "whole module (VDD_IN)",
    ),
    "Xavier NX": Board(
        "nvidia,p3509-0000+p3668-0001",
        (("7-0040", {"VDD_IN": 7.0, "VDD_CPU_GPU_CV": 3.0, "VDD_SOC": 1.0}),),
        7.0,
        "whole module (VDD_IN)",
    ),
    "AGX Xavier": Board(
        "nvidia,p2972-0000\0nvidia,p2888",
        (
            ("1-0040", {"GPU": 6.0, "CPU": 3.0, "SOC": 2.0}),
            ("1-0041", {"CV": 1.0, "VDDRQ": 1.5, "SYS5V": 2.5}),
        ),
        16.0,
        "whole module (sum of its rails GPU, CPU, SOC, CV, VDDRQ, SYS5V)",
    ),
    "Orin Nano": Board(
        "nvidia,p3768-0000+p3767-0005",
        (("1-0040", {"VDD_IN": 6.0, "VDD_CPU_GPU_CV": 2.0, "VDD_SOC": 1.5}),),
        6.0,
        "whole module (VDD_IN)",
    ),
    "Orin NX": Board(
        "nvidia,p3768-0000+p3767-0000",
        (("1-0040", {"VDD_IN": 12.0, "VDD_CPU_GPU_CV": 6.0, "VDD_SOC": 2.0}),),
        12.0,
        "whole module (VDD_IN)",
    ),
    "AGX Orin": Board(
        "nvidia,p3737-0000+p3701-0000",
        (
            ("1-0040", {"VDD_GPU_SOC": 10.0, "VDD_CPU_CV": 5.0, "VIN_SYS_5V0": 4.0}),
            ("1-0041", {"NC": 0.0, "VDDQ_VDD2_1V8AO": 1.0}),
        ),
        19.0,
        "whole module (sum of its rails VDD_GPU_SOC, VDD_CPU_CV, VIN_SYS_5V0)",
    ),
}


def write_board(sysfs: Path, board: Board, *, tell_board: bool = True) -> None:
    if tell_board:
        place = sysfs / "firmware/devicetree/base"
        place.mkdir(parents=True)
        (place / "compatible").write_text(f"{board.compatible}\0")
    for number, (address, rails) in enumerate(board.monitors):
        folder = sysfs / f"bus/i2c/drivers/ina3221/{address}/hwmon/hwmon{number}"
        folder.mkdir(parents=True)
        for channel, (label, watts) in enumerate(rails.items(), start=1):
            add_rail(folder, channel, label, 5_000, round(watts * 200))
        (folder / "in7_label").write_text("sum of shunt voltages\n")
        (folder / "in7_input").write_text("5\n")


def add_ina238(sysfs: Path, label_file: str | None, volts: float, amperes: float) -> None:
    folder = sysfs / "bus/i2c/drivers/ina238/2-0044/hwmon/hwmon9"
    folder.mkdir(parents=True)
    if label_file:
        (folder / label_file).write_text("VIN\n")
    (folder / "name").write_text("ina238\n")
    (folder / "in0_input").write_text("4\n")
    (folder / "in1_input").write_text(f"{volts * 1e3:.0f}\n")
    (folder / "curr1_input").write_text(f"{amperes * 1e3:.0f}\n")
    (folder / "power1_input").write_text(f"{volts * amperes * 1e6:.0f}\n")


def measured_watts(sysfs: Path) -> float:
    """What the meter on a tree integrates."""
    rails = find_rails(sysfs)
    watts, _ = choose_rails(find_module(sysfs, frozenset(rails)), rails)
    return watts()


THOR = Board(
    "nvidia,p3971-0089+p3834-0008",
    (("2-0040", {"VDD_GPU": 6.0, "VDD_CPU_SOC_MSS": 6.0, "VIN_SYS_5V0": 5.0}),),
    17.0,
    "rails VDD_GPU, VDD_CPU_SOC_MSS, VIN_SYS_5V0 of the module only",
)


@pytest.mark.parametrize("tell_board", [True, False])
@pytest.mark.parametrize("name", BOARDS)
def test_case_35_each_module_is_measured_by_its_own_rails(
    sysfs: Path, opened: Callable[[], Meter], name: str, tell_board: bool
) -> None:
    write_board(sysfs, BOARDS[name], tell_board=tell_board)

    meter = opened()

    assert meter.scope.startswith(BOARDS[name].scope)
    assert measured_watts(sysfs) == pytest.approx(BOARDS[name].watts)


@pytest.mark.parametrize("tell_board", [True, False])
@pytest.mark.parametrize("label_file", ["in1_label", "power1_label", "label"])
def test_case_33_thor_is_measured_at_its_supply(
    sysfs: Path, opened: Callable[[], Meter], label_file: str, tell_board: bool
) -> None:
    write_board(sysfs, THOR, tell_board=tell_board)
    add_ina238(sysfs, label_file, 20.0, 2.0)

    meter = opened()

    assert meter.scope.startswith("whole module and carrier board (VIN)")
    assert measured_watts(sysfs) == pytest.approx(40.0)


def test_case_33_a_monitor_without_labels_is_known_by_its_chip(
    sysfs: Path, opened: Callable[[], Meter]
) -> None:
    write_board(sysfs, THOR)
    add_ina238(sysfs, None, 20.0, 2.0)

    meter = opened()

    assert meter.scope.startswith("whole module and carrier board (INA238)")
    assert measured_watts(sysfs) == pytest.approx(40.0)


@pytest.mark.parametrize("tell_board", [True, False])
def test_case_33_thor_without_its_supplys_monitor_says_what_is_left_out(
    sysfs: Path, opened: Callable[[], Meter], tell_board: bool
) -> None:
    write_board(sysfs, THOR, tell_board=tell_board)

    meter = opened()

    assert measured_watts(sysfs) == pytest.approx(THOR.watts)
    assert meter.scope.startswith(THOR.scope)
    assert "the rest is left out (no rail" in meter.scope and "VIN" in meter.scope


@pytest.mark.parametrize("label", ["CVB_3V3_IN", "VDD_M2_IN", "CVB_ATX_12V", "VIN"])
@pytest.mark.parametrize("address", ["1-0039", "1-0041"])
def test_case_35_a_carriers_rail_never_stands_for_the_module(
    sysfs: Path, opened: Callable[[], Meter], label: str, address: str
) -> None:
    board = BOARDS["Orin NX"]
    monitors = (*board.monitors, (address, {label: 0.033}))
    write_board(sysfs, Board(board.compatible, monitors, board.watts, board.scope))

    meter = opened()

    assert meter.scope.startswith("whole module (VDD_IN)")
    assert measured_watts(sysfs) == pytest.approx(12.0)


def test_case_35_units_follow_from_the_files_names(sysfs: Path) -> None:
    files = {
        "ina3221/1-0040/hwmon/hwmon1": {"in1_label": "A", "power1_input": "5000000"},
        "ina3221/1-0041/hwmon1": {"in2_label": "B", "in2_input": "5000", "curr2_input": "1000"},
        "ina3221x/1-0042/iio:device0": {"rail_name_0": "C", "in_power0_input": "5000"},
        "ina3221x/1-0043/iio:device1": {
            "rail_name_2": "D",
            "in_voltage2_input": "5000",
            "in_current2_input": "1000",
        },
    }
    for place, texts in files.items():
        folder = sysfs / "bus/i2c/drivers" / place
        folder.mkdir(parents=True)
        for name, text in texts.items():
            (folder / name).write_text(f"{text}\n")

    watts = {label: read() for label, read in find_rails(sysfs).items()}

    assert watts == {name: pytest.approx(5.0) for name in "ABCD"}


def test_case_35_power_in_microwatts_counts_beside_volts_and_amperes(
    sysfs: Path, hwmon: Path
) -> None:
    add_rail(hwmon, 1, "VDD_IN", 5_000, 1_000)
    (hwmon / "power1_input").write_text("5000000\n")

    assert measured_watts(sysfs) == pytest.approx(5.0)


def test_case_35_monitors_are_found_where_only_class_hwmon_shows_them(sysfs: Path) -> None:
    for number, name in ((1, "ina3221"), (2, "coretemp")):
        folder = sysfs / f"class/hwmon/hwmon{number}"
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
        add_rail(folder, 1, f"rail of {name}", 5_000, 1_000)

    assert list(find_rails(sysfs)) == ["rail of ina3221"]


def test_case_35_a_reading_beyond_the_modules_power_is_a_fault(hwmon: Path) -> None:
    add_rail(hwmon, 1, "POM_5V_IN", 5_000, 1_000_000)
    add_rail(hwmon, 2, "POM_5V_GPU", 5_000, 100)
    add_rail(hwmon, 3, "POM_5V_CPU", 5_000, 100)

    with pytest.raises(PolymorphError, match="5000 W, but at most 30 W are possible"):
        open_jetson()


def test_case_35_a_later_reading_beyond_the_possible_power_is_no_reading() -> None:
    moments, powers = iter([0.0, 1.0, 2.0, 3.0]), iter([10.0, 10.0, 4e3, 10.0])
    sampler = PowerSampler(
        lambda: next(powers), period_s=3600.0, most_watts=80.0, clock=lambda: next(moments)
    )

    for _ in range(3):
        sampler.sample()

    assert sampler.joules() == pytest.approx(30.0)
    sampler.close()
