"""Pins which meter is opened: the order of "auto", the reasons of a fallback, refusals.

The synthetic powercap tree stands in for a kernel with RAPL; this machine's own sensors are hidden.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from polymorph_ros.energy import jetson
from polymorph_ros.energy.meter import METER_KINDS, open_meter
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.errors import PolymorphError

zeus_rapl = pytest.importorskip("zeus.device.cpu.rapl", reason="the library zeus is not installed")
pynvml = pytest.importorskip("pynvml")


@pytest.fixture(autouse=True)
def machine_without_sensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Hide real sensors; a test may create the RAPL folder that is returned."""

    def no_driver() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    rapl = tmp_path / "intel-rapl"
    monkeypatch.setattr(zeus_rapl, "RAPL_DIR", str(rapl))
    monkeypatch.setattr(zeus_rapl, "CONTAINER_RAPL_DIR", str(rapl))
    monkeypatch.setattr(jetson, "SYSFS", tmp_path / "nothing")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(pynvml, "_LoadNvmlLibrary", no_driver)
    return rapl


def test_auto_takes_a_real_sensor_before_the_estimate(machine_without_sensors: Path) -> None:
    package = machine_without_sensors / "intel-rapl:0"
    package.mkdir(parents=True)
    for name, text in (("name", "package-0"), ("energy_uj", "1"), ("max_energy_range_uj", "99")):
        (package / name).write_text(text)

    meter = open_meter("auto", device="cpu")

    assert meter.source is EnergySource.RAPL
    assert meter.note == ""


def test_auto_falls_back_to_the_estimate_and_says_why() -> None:
    meter = open_meter("auto", cpu_watts=3.0, device="cpu")

    assert meter.source is EnergySource.UNCALIBRATED
    assert "3 W" in meter.scope
    assert "jetson_rails: expected" in meter.note
    assert "rapl: expected" in meter.note
    assert "nvml" not in meter.note


def test_auto_asks_the_gpu_driver_where_the_model_runs_on_cuda() -> None:
    meter = open_meter("auto", device="cuda:0")

    assert meter.source is EnergySource.UNCALIBRATED
    assert "nvml: expected a working NVIDIA driver" in meter.note


@pytest.mark.parametrize("kind", ["jetson_rails", "nvml", "rapl", "raspberry_pi"])
def test_a_sensor_that_was_asked_for_and_is_missing_is_an_error(kind: str) -> None:
    with pytest.raises(PolymorphError, match=f"^{kind}: expected .*, found .*; "):
        open_meter(kind, device="cuda")


def test_the_estimate_and_none_are_always_there() -> None:
    assert open_meter("estimated").source is EnergySource.UNCALIBRATED
    assert open_meter("none").source is EnergySource.UNAVAILABLE


def test_refuses_an_unknown_kind_and_names_the_known_ones() -> None:
    with pytest.raises(PolymorphError, match=", ".join(METER_KINDS)):
        open_meter("guess")


def test_refuses_bad_watts_whatever_the_kind() -> None:
    with pytest.raises(PolymorphError, match="cpu_watts"):
        open_meter("none", cpu_watts=-1.0)


def test_the_energy_message_names_every_source() -> None:
    message = (Path(__file__).resolve().parents[2] / "msg" / "EnergyReport.msg").read_text()

    assert [source.value for source in EnergySource if source.value not in message] == []
