"""Pins that each file in examples/ runs as its own first lines say.

slow_for_people.py needs a ROS graph: test/ros/test_planner_example.py runs it.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.documents import ROOT, furnish
from polymorph_ros.model.backbone import load_backbone

EXAMPLES = ROOT / "examples"
_DEADLINE_S = 120


def run(*arguments: str | Path, cwd: Path) -> str:
    """What an example prints; it must succeed."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        text=True,
        capture_output=True,
        timeout=_DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_has_a_test() -> None:
    assert {file.name for file in EXAMPLES.glob("*.py")} == {
        "camvid_davis.py",
        "efficientnet_lite0.py",
        "groceries.py",
        "label_images.py",
        "slow_for_people.py",
    }


def test_label_images(tmp_path: Path) -> None:
    furnish(tmp_path)

    lines = run(EXAMPLES / "label_images.py", "kitchen", cwd=tmp_path).splitlines()

    assert [line.split(":")[0] for line in lines] == ["kitchen 12.000 s", "kitchen 12.500 s"]
    assert all(" J (" in line for line in lines)


def test_camvid_davis(tmp_path: Path) -> None:
    data = ROOT.parent / "shared" / "data"
    if not (data / "camvid").is_dir() or not (data / "davis").is_dir():
        pytest.skip("the evaluation data CamVid and DAVIS are not beside the repository")

    run(EXAMPLES / "camvid_davis.py", tmp_path, cwd=tmp_path)

    assert {file.name for file in tmp_path.iterdir()} == {
        "camvid_bag.csv", "camvid_test.csv", "camvid_train.csv", "davis_test.csv", "davis_train.csv"
    }  # fmt: skip


def test_groceries(tmp_path: Path) -> None:
    data = ROOT.parent / "shared" / "data"
    if not (data / "grocery").is_dir() or not (data / "traces").is_dir():
        pytest.skip("the evaluation data are not beside the repository")

    run(EXAMPLES / "groceries.py", tmp_path, "--most", "2", "--views", "1", cwd=tmp_path)

    tables = {
        f"{name}_{part}": list(csv.DictReader((tmp_path / f"{name}_{part}.csv").open()))
        for name in ("photos", "shelves", "products")
        for part in ("train", "val", "test")
    }
    for name, rows in tables.items():
        assert all((tmp_path / row["file"]).is_file() for row in rows), name
    kinds = [{row["labels"] for row in tables[f"photos_{part}"]} for part in ("train", "val")]
    assert kinds[0] == kinds[1]
    assert len(kinds[0]) == 43
    assert {row["file"] for row in tables["photos_train"]}.isdisjoint(
        row["file"] for row in tables["photos_val"]
    )
    assert (
        len({row["sequence"] for row in tables["photos_train"]}) == len(tables["photos_train"]) / 2
    ), "each photo, and a view of it"
    assert max(row["labels"].count("|") for row in tables["products_train"]) < 4


def test_efficientnet_lite0(tmp_path: Path) -> None:
    weights = ROOT.parent / "shared" / "models" / "efficientnet_lite0.safetensors"
    if not weights.is_file():
        pytest.skip("the weights are not beside the repository")

    run(EXAMPLES / "efficientnet_lite0.py", tmp_path / "lite0", cwd=tmp_path)

    assert load_backbone(tmp_path / "lite0").hidden_size == 1280
