"""Pins the RAPL meter on a written powercap tree: which domains count, wrap-around, restarts,
faults.

The tree stands in for the kernel; Zeus's folder constants point to it. Not pinned: real hardware.
"""

from __future__ import annotations

import math
import multiprocessing
import os
from pathlib import Path

import pytest

from polymorph_ros.energy.rapl import open_rapl
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.errors import PolymorphError

zeus_rapl = pytest.importorskip("zeus.device.cpu.rapl", reason="the library zeus is not installed")

RANGE_UJ = 262_143_328_850


def add_domain(folder: Path, name: str, energy_uj: int, range_uj: int = RANGE_UJ) -> Path:
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
    return folder / "energy_uj"


@pytest.fixture
def powercap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "intel-rapl"
    root.mkdir()
    monkeypatch.setattr(zeus_rapl, "RAPL_DIR", str(root))
    monkeypatch.setattr(zeus_rapl, "CONTAINER_RAPL_DIR", str(tmp_path / "nowhere"))
    return root


def test_sums_all_packages_and_their_memory(powercap: Path) -> None:
    first = add_domain(powercap / "intel-rapl:0", "package-0", 1_000_000)
    memory = add_domain(powercap / "intel-rapl:0" / "intel-rapl:0:1", "dram", 7_000_000)
    second = add_domain(powercap / "intel-rapl:1", "package-1", 2_000_000)
    meter = open_rapl()

    first.write_text("4000000\n")
    memory.write_text("7500000\n")
    second.write_text("3000000\n")

    assert meter.read() == pytest.approx(3.0 + 0.5 + 1.0)
    assert meter.source is EnergySource.RAPL
    assert "package-0, dram, package-1" in meter.scope
    assert multiprocessing.active_children() == []


def test_leaves_out_what_a_package_holds_already(powercap: Path) -> None:
    package = add_domain(powercap / "intel-rapl:0", "package-0", 0)
    core = add_domain(powercap / "intel-rapl:0" / "intel-rapl:0:0", "core", 0)
    platform = add_domain(powercap / "intel-rapl:1", "psys", 0)
    meter = open_rapl()

    for energy in (package, core, platform):
        energy.write_text("5000000\n")

    assert meter.read() == pytest.approx(5.0)


def test_counts_on_across_a_wrap_around(powercap: Path) -> None:
    energy = add_domain(powercap / "intel-rapl:0", "package-0", RANGE_UJ - 2_000_000)
    meter = open_rapl()

    energy.write_text("3000000\n")

    assert meter.read() == pytest.approx(5.0)


def test_a_counter_that_vanishes_makes_the_meter_unavailable(powercap: Path) -> None:
    energy = add_domain(powercap / "intel-rapl:0", "package-0", 0)
    meter = open_rapl()

    energy.unlink()

    assert math.isnan(meter.read())
    assert meter.source is EnergySource.UNAVAILABLE
    assert "energy_uj" in meter.note


def test_says_that_the_machine_has_no_rapl(powercap: Path) -> None:
    powercap.rmdir()

    with pytest.raises(PolymorphError, match=r"rapl: .*expected the folder .*intel_rapl_msr"):
        open_rapl()


def test_says_what_to_do_when_a_counter_cannot_be_read(powercap: Path) -> None:
    # Root may read everything, so the missing permission is a missing file here.
    add_domain(powercap / "intel-rapl:0", "package-0", 0).unlink()

    with pytest.raises(PolymorphError, match=r"docs/energy\.md"):
        open_rapl()


def test_says_that_the_folder_holds_no_package(powercap: Path) -> None:
    with pytest.raises(PolymorphError, match="a CPU package"):
        open_rapl()


def test_case_38_a_counter_that_only_root_may_read_is_refused_with_the_remedy(
    powercap: Path,
) -> None:
    add_domain(powercap / "intel-rapl:0", "package-0", 0).chmod(0)
    if os.access(powercap / "intel-rapl:0/energy_uj", os.R_OK):
        pytest.skip("root may read everything")

    with pytest.raises(PolymorphError, match=r"right to read energy_uj.*docs/energy\.md"):
        open_rapl()


def test_case_38_a_counter_that_restarts_is_a_gap_and_no_wrap_around(powercap: Path) -> None:
    energy = add_domain(powercap / "intel-rapl:0", "package-0", 150_000_000_000)
    meter = open_rapl()
    energy.write_text("150002000000\n")
    before = meter.read()

    energy.write_text("1000000\n")  # the machine was suspended: a wrap would be 112 kJ

    assert before == pytest.approx(2.0)
    assert meter.read() == pytest.approx(3.0)
    assert meter.source is EnergySource.RAPL
    assert "rapl restarted (1 times)" in meter.note


def test_case_38_a_leap_forward_beyond_the_possible_power_is_a_gap(powercap: Path) -> None:
    energy = add_domain(powercap / "intel-rapl:0", "package-0", 0)
    meter = open_rapl()

    energy.write_text("90000000000\n")
    leapt = meter.read()
    energy.write_text("90001000000\n")

    assert leapt == 0.0
    assert meter.read() == pytest.approx(1.0)
