"""Pins the calibration: the fit, what is refused, the file, the command, and what an estimate
makes of it.

Readings are given; loads are real processes. Left open: a real sensor's fit, which needs one.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from polymorph_ros.cli.main import app
from polymorph_ros.energy import load
from polymorph_ros.energy.calibration import Calibration, fingerprint, read_calibration
from polymorph_ros.energy.estimated import EstimatedMeter
from polymorph_ros.energy.fit import LoadPoint, fit, read_points
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.meter import open_meter
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.errors import PolymorphError


def calibration(**values: object) -> Calibration:
    return Calibration(
        **{
            "idle_watts": 4.0,
            "cpu_watts": 3.0,
            "gpu_watts": None,
            "relative_error": 0.1,
            "reference": "a wall meter",
            "machine": fingerprint(),
            **values,
        }
    )


def test_the_fit_finds_idle_cores_and_gpu_and_how_far_it_is_off() -> None:
    random = np.random.default_rng(0)
    points = [
        LoadPoint(cores, 4.0 + 3.0 * cores + 20.0 * gpu + random.normal(0.0, 0.2), gpu)
        for cores in (0.0, 1.0, 2.0, 4.0)
        for gpu in (0.0, 0.5, 1.0)
    ]

    found = fit(points, "a sensor", reference_error=0.0)

    assert found.idle_watts == pytest.approx(4.0, abs=0.4)
    assert found.cpu_watts == pytest.approx(3.0, abs=0.15)
    assert found.gpu_watts == pytest.approx(20.0, abs=0.4)
    assert 0.002 < found.relative_error < 0.03  # 0.2 W of 20 W
    assert fit(points, "a sensor", reference_error=0.2).relative_error > 0.2


def test_as_many_readings_as_values_leave_an_assumed_error() -> None:
    found = fit([LoadPoint(0.0, 5.0), LoadPoint(4.0, 17.0)], "a meter", 0.0)

    assert (found.idle_watts, found.cpu_watts) == (pytest.approx(5.0), pytest.approx(3.0))
    assert (found.gpu_watts, found.relative_error) == (None, pytest.approx(0.1))


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([], "0 reading"),
        ([(1.0, 5.0)], "1 reading"),
        ([(2.0, 5.0), (2.0, 6.0)], "loads that differ"),
        ([(0.0, 17.0), (4.0, 5.0)], "cpu_watts: expected watts that rise"),  # swapped
        ([(1.0, 2.0), (4.0, 20.0)], "idle_watts: expected watts that rise"),
        ([(0.0, 5000.0), (4.0, 17000.0)], "units"),  # milliwatts
        ([(0.0, 5.0), (4.0, 5.0)], "rises with the load"),  # a meter of something else
    ],
)
def test_readings_that_make_no_sense_are_refused(
    points: list[tuple[float, float]], words: str
) -> None:
    with pytest.raises(PolymorphError, match=words):
        fit([LoadPoint(*point) for point in points], "a meter", 0.02)


def test_the_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "watts.json"

    calibration(gpu_watts=12.5).write(path)

    assert read_calibration(path) == calibration(gpu_watts=12.5)


def test_another_machines_calibration_is_refused_and_both_are_named(tmp_path: Path) -> None:
    path = tmp_path / "watts.json"
    calibration(machine={**fingerprint(), "cpu": "Cortex-A78AE"}).write(path)

    with pytest.raises(PolymorphError, match=r"Cortex-A78AE.*polymorph energy calibrate"):
        read_calibration(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"watts": 3}',
        json.dumps({**vars(calibration()), "cpu_watts": -1}),
        json.dumps({**vars(calibration()), "idle_watts": "4"}),
        json.dumps({**vars(calibration()), "cpu_watts": 1e6}),
        json.dumps({**vars(calibration()), "machine": None}),
    ],
)
def test_a_file_that_is_no_calibration_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "watts.json"
    path.write_text(text)

    with pytest.raises(PolymorphError, match="calibration"):
        read_calibration(path)
    with pytest.raises(PolymorphError, match="none.json"):
        read_calibration(tmp_path / "none.json")


def test_a_calibrated_estimate_holds_idle_power_and_says_what_it_rests_on() -> None:
    now = {"clock": 10.0, "cpu": 1.0}
    meter = EstimatedMeter(
        cpu_seconds=lambda: now["cpu"], calibration=calibration(), clock=lambda: now["clock"]
    )
    ledger = EnergyLedger(meter, lambda: now["clock"])
    ledger.start_frame()
    now.update(clock=12.0, cpu=2.0)
    energy = ledger.finish_frame()

    assert energy.joules == pytest.approx(2.0 * 4.0 + 1.0 * 3.0)
    assert energy.joules_above_idle == pytest.approx(3.0)
    assert energy.joules_error == pytest.approx(1.1)
    assert (energy.source, energy.idle_watts) == (EnergySource.ESTIMATED, 4.0)
    assert "a wall meter" in meter.scope
    assert ledger.measure_idle(wait=lambda seconds: pytest.fail("it is known")) == 4.0


def test_the_meter_takes_a_calibration_and_is_uncalibrated_without() -> None:
    with_one = open_meter("estimated", calibration=calibration())

    assert with_one.source is EnergySource.ESTIMATED
    assert open_meter("estimated").source is EnergySource.UNCALIBRATED
    assert open_meter("estimated").scope.startswith("uncalibrated estimate")


def test_the_command_fits_a_table_of_readings(tmp_path: Path) -> None:
    table, out = tmp_path / "readings.csv", tmp_path / "watts.json"
    table.write_text("busy_cores,watts\n0,4\n1,7.1\n2,9.9\n4,16\n")

    done = CliRunner().invoke(app, ["energy", "calibrate", str(out), "--csv", str(table)])

    assert done.exit_code == 0, done.output
    assert re.search(r"each busy core (2\.9|3\.0)\d W; standard error", done.output)
    assert read_calibration(out).cpu_watts == pytest.approx(3.0, abs=0.1)


def test_the_command_asks_for_three_readings_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "SETTLE_S", 0.0)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    out = tmp_path / "watts.json"

    done = CliRunner().invoke(
        app, ["energy", "calibrate", str(out), "--meter", "by_hand"], input="5\n8\n11\n"
    )

    assert done.exit_code == 0, done.output
    assert "2 busy core(s)" in done.output
    assert read_calibration(out).reference == "a meter read by hand"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "busy_cores, watts"),
        ("cores,power\n1,2\n", "cores, power"),
        ("busy_cores,watts\n0,4\n1,much\n", "line 3"),
        ("busy_cores,watts\n0,4\n-1,5\n", "busy_cores"),
    ],
)
def test_a_table_that_is_none_is_refused_with_its_place(
    tmp_path: Path, text: str, words: str
) -> None:
    table = tmp_path / "readings.csv"
    table.write_text(text)

    with pytest.raises(PolymorphError, match=words):
        read_points(table)
