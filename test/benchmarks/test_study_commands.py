"""Pins the commands `benchmarks/unknown_scenes.py`, `reuse.py` and `policy_on_traces.py`: rows of
metrics, or one line why not.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import policy_on_traces
import pytest
import reuse
import unknown_scenes

from helpers.command import invoke
from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.bundle.manifest import ReuseEntry, UnknownSceneEntry
from polymorph_ros.errors import PolymorphError

CONTEXTS = {"room": ("window", "chair"), "office": ("window", "lamp")}


def test_scenes_writes_a_row_for_each_kind_of_picture(tmp_path: Path) -> None:
    scene = UnknownSceneEntry(threshold=1.0, false_alarms=0.01)
    bundle = write_tiny_bundle(tmp_path / "tiny", contexts=CONTEXTS, unknown_scene=scene).path
    rows_file = tmp_path / "rows.json"

    result = invoke(unknown_scenes.main, bundle, "--count", 1, "--json", rows_file)

    assert result.exit_code == 0, result.output
    rows = json.loads(rows_file.read_text())
    assert [row["pictures"] for row in rows] == [50] * 9
    assert all(0 <= row["unknown"] <= 1 for row in rows)
    assert "white noise" in result.output


def test_reuse_writes_a_row_for_moving_and_for_still_scenes(tmp_path: Path) -> None:
    entry = ReuseEntry(difference=8.0, max_age_s=1.0, pace=0.0, agreement=0.98)
    bundle = write_tiny_bundle(tmp_path / "tiny", contexts=CONTEXTS, reuse=entry).path
    rows_file = tmp_path / "rows.json"

    result = invoke(reuse.main, bundle, "--synthetic", 1, "--json", rows_file)

    assert result.exit_code == 0, result.output
    moving, still = json.loads(rows_file.read_text())
    assert moving["frames"] == still["frames"] == 50
    assert moving["reused"] < still["reused"]


@pytest.mark.parametrize("command", [unknown_scenes.main, reuse.main])
def test_a_bundle_that_learned_neither_is_told_as_such(
    tmp_path: Path, command: Callable[..., None]
) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny").path

    result = invoke(command, bundle)

    assert isinstance(result.exception, PolymorphError)
    assert "train it again" in str(result.exception)


def test_the_policy_has_a_row_for_each_trace_and_policy(tmp_path: Path) -> None:
    line = {"seq": "", "fps": 1, "frames": [["pan"], ["pan", "oven"], ["cup"], []] * 10}
    lines = [json.dumps(line | {"seq": f"s{number}"}) for number in range(8)]
    trace, rows_file = tmp_path / "kitchen.jsonl", tmp_path / "rows.json"
    trace.write_text("\n".join(lines))

    result = invoke(
        policy_on_traces.main, trace, "--labels-per-context", 2, "--frames", 100,
        "--json", rows_file,
    )  # fmt: skip

    assert result.exit_code == 0, result.output
    rows = json.loads(rows_file.read_text())
    assert {row["trace"] for row in rows} == {"kitchen"}
    assert [row["policy"] for row in rows[:2]] == ["polymorph", "oracle_cover"]
    assert all(0 <= row["covered"] <= 1 for row in rows)


def test_a_missing_trace_is_one_line(tmp_path: Path) -> None:
    result = invoke(policy_on_traces.main, tmp_path / "none.jsonl")

    assert isinstance(result.exception, PolymorphError)
    assert "no such file" in str(result.exception)
