"""Pins ``polymorph evaluate`` as a user runs it: what it writes, and its one-line errors.

The bundle has random weights: nothing is said about accuracy.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.data.bag_writer import write_synthetic_bag
from polymorph_ros.data.synthetic import make_sequence
from polymorph_ros.energy.calibration import Calibration, fingerprint

ROW = {
    "method", "mean_ap", "mean_ap_low", "mean_ap_high", "joules_per_frame", "seconds_per_frame",
    "energy_source", "adapters_per_frame", "peak_bytes",
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny bundle and two recordings that bear their truth."""
    root = tmp_path_factory.mktemp("evaluate")
    write_tiny_bundle(root / "tiny")
    for index in range(2):
        sequence = make_sequence(3, index=index, split="test", frames=20, hz=5.0, size=(64, 48))
        write_synthetic_bag(root / "bags" / f"walk{index}", sequence)
    return root


def polymorph(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "polymorph_ros.cli.main", "evaluate", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_a_row_for_each_method_and_a_report(root: Path, tmp_path: Path) -> None:
    out, rows_file, watts = tmp_path / "out", tmp_path / "rows.json", tmp_path / "watts.json"
    Calibration(3.0, 5.0, None, 0.1, "a wall meter", fingerprint()).write(watts)

    done = polymorph(
        "--bundle", root / "tiny", "--data", root / "bags", "--out", out, "--json", rows_file,
        "--compare", "all_adapters", "--energy", "estimated", "--device", "cpu",
        "--calibration", watts, "--battery-wh", 30,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(rows_file.read_text())
    assert [row["method"] for row in rows] == ["polymorph", "all_adapters"]
    for row in rows:
        assert row.keys() >= ROW
        assert row["energy_source"] == "estimated"
        assert row["joules_per_frame"] > 0
        assert row["watts_above_idle"] > 0
        assert row["battery_hours"] == pytest.approx(30.0 / (3.0 + row["watts_above_idle"]))
        assert row["peak_bytes"] > 50e6
        assert row["frames"] == 40
    assert (out / "report.html").stat().st_size > 1e6
    assert "a battery of 30 Wh lasts" in (out / "report.html").read_text()
    assert "label(s) of the truth are unknown to the bundle" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--compare", "magic"), ("expected all, or some of polymorph, all_adapters", "magic")),
        (("--topic", "/back"), ("/back", "/camera/image_raw")),
        (
            ("--labels", "late.csv"),
            ("pictures' time (1.000 to 4.800 s)", "from 900.000 to 901.000"),
        ),
    ],
)
def test_a_mistake_is_one_line(
    root: Path, tmp_path: Path, words: tuple[str, ...], told: tuple[str, ...]
) -> None:
    bag = root / "bags" / "walk0"
    late = tmp_path / "late.csv"
    late.write_text("stamp,labels\n900.0,person\n901.0,person|car\n")
    words = tuple(str(late) if word == late.name else word for word in words)

    done = polymorph("--bundle", root / "tiny", "--data", bag, "--out", tmp_path / "out", *words)

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert all(part in done.stderr for part in told)
    assert not (tmp_path / "out").exists()
