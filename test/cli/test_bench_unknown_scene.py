"""Pins `polymorph bench unknown-scene` and `... reuse`: rows of metrics, or one line why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.bundle.manifest import ReuseEntry, UnknownSceneEntry
from polymorph_ros.cli.main import app
from polymorph_ros.errors import PolymorphError

CONTEXTS = {"room": ("window", "chair"), "office": ("window", "lamp")}


def test_scenes_writes_a_row_for_each_kind_of_picture(tmp_path: Path) -> None:
    scene = UnknownSceneEntry(threshold=1.0, false_alarms=0.01)
    bundle = write_tiny_bundle(tmp_path / "tiny", contexts=CONTEXTS, unknown_scene=scene).path
    rows_file = tmp_path / "rows.json"

    result = CliRunner().invoke(
        app, ["bench", "unknown-scene", str(bundle), "--count", "1", "--json", str(rows_file)]
    )

    assert result.exit_code == 0, result.output
    rows = json.loads(rows_file.read_text())
    assert [row["pictures"] for row in rows] == [50] * 9
    assert all(0 <= row["unknown"] <= 1 for row in rows)
    assert "white noise" in result.output


def test_reuse_writes_a_row_for_moving_and_for_still_scenes(tmp_path: Path) -> None:
    entry = ReuseEntry(difference=8.0, max_age_s=1.0, pace=0.0, agreement=0.98)
    bundle = write_tiny_bundle(tmp_path / "tiny", contexts=CONTEXTS, reuse=entry).path
    rows_file = tmp_path / "rows.json"

    result = CliRunner().invoke(
        app, ["bench", "reuse", str(bundle), "--synthetic", "1", "--json", str(rows_file)]
    )

    assert result.exit_code == 0, result.output
    moving, still = json.loads(rows_file.read_text())
    assert moving["frames"] == still["frames"] == 50
    assert moving["reused"] < still["reused"]


@pytest.mark.parametrize("command", ["unknown-scene", "reuse"])
def test_a_bundle_that_learned_neither_is_told_as_such(tmp_path: Path, command: str) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny").path

    result = CliRunner().invoke(app, ["bench", command, str(bundle)])

    assert isinstance(result.exception, PolymorphError)
    assert "train it again" in str(result.exception)
