"""Pins the live mode of an evaluation: node over DDS and engine give the same scores.

Weights are random and pictures synthetic, so nothing is said about accuracy, and times depend on
the machine. Left open: rates at which frames drop.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from polymorph_ros.data.bag_writer import write_synthetic_bag
from polymorph_ros.data.synthetic import make_sequence
from polymorph_ros.evaluation.methods.engine_method import AS_THE_NODE
from polymorph_ros.ros.parameters import SPECS
from polymorph_ros.ros.settings import NodeSettings

FRAMES = 24

pytestmark = pytest.mark.slow


def live(bundle: Path, data: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable, "-m", "polymorph_ros.cli.main", "evaluate", "--mode", "live",
        "--bundle", str(bundle), "--data", str(data), "--out", str(out), "--rate", "8",
        "--no-memory", "--json", str(out / "rows.json"),
    ]  # fmt: skip
    environment = {**os.environ, "ROS_LOG_DIR": str(out.parent / "ros_log")}
    return subprocess.run(command, capture_output=True, text=True, timeout=500, env=environment)


def test_the_nodes_answers_equal_the_engines(bundle_root: Path, tmp_path: Path) -> None:
    sequence = make_sequence(3, index=0, split="test", frames=FRAMES, hz=5.0, size=(64, 48))
    write_synthetic_bag(tmp_path / "walk", sequence)
    out = tmp_path / "out"

    done = live(bundle_root / "tiny", tmp_path / "walk", out)

    assert done.returncode == 0, done.stdout + done.stderr
    counts = json.loads((out / "summary.json").read_text())["live"]
    assert counts["published"] == FRAMES
    assert counts["answered"] + counts["dropped"] == FRAMES
    assert counts["answered"] > 0
    assert counts["largest_difference"] <= 1e-5
    assert counts["faults"] == []
    assert counts["latency"]["p50_s"] > 0 and counts["jitter_s"] >= 0
    rows = json.loads((out / "rows.json").read_text())
    assert [row["method"] for row in rows] == ["polymorph_live", "polymorph"]
    assert {row["frames"] for row in rows} == {counts["answered"]}
    (planner_log,) = (out / "live").glob("*/planner.log")
    assert "ms after the image" in planner_log.read_text()
    assert counts["planner_commands"] >= 1


def test_the_evaluated_engine_has_the_nodes_defaults() -> None:
    node = NodeSettings.of({spec.name: spec.default for spec in SPECS})

    assert node.engine == AS_THE_NODE


def test_without_a_recording_there_is_nothing_to_play(bundle_root: Path, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    picture = np.full((48, 64, 3), 90, np.uint8)
    assert cv2.imwrite(str(tmp_path / "pictures" / "0.png"), picture)
    (tmp_path / "pictures" / "labels.csv").write_text("file,labels\n0.png,person\n")

    done = live(bundle_root / "tiny", tmp_path / "pictures", tmp_path / "out")

    assert done.returncode == 1
    assert "rosbag2 recordings for live mode" in done.stderr
