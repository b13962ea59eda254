"""Pins ``polymorph data convert`` and ``polymorph data frames``: what is written, and what is said
of bad input. The formats themselves: test/data/test_foreign_labels.py.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

from helpers.recordings import write_bag
from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.data.open_dataset import open_dataset


def data(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "polymorph_ros.cli.main", "data", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def scenes(folder: Path) -> Path:
    """Twelve pictures of three views, four of each, and their table."""
    folder.mkdir()
    rows = ["file,labels"]
    for number in range(12):
        cells = np.random.default_rng(number // 4).integers(0, 250, (4, 4, 3), np.uint8)
        image = np.kron(cells, np.ones((12, 16, 1), np.uint8)) + number % 4
        cv2.imwrite(str(folder / f"{number:03}.png"), image)
        rows.append(f"{number:03}.png,{'mug' if number < 4 else 'oven'}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_convert_writes_pictures_and_labels_of_another_format(tmp_path: Path) -> None:
    done = data("convert", scenes(tmp_path / "in"), tmp_path / "out", "--format", "cvat")

    assert done.returncode == 0, done.stderr
    assert "12 pictures" in done.stdout
    before, after = open_dataset(tmp_path / "in"), open_dataset(tmp_path / "out")
    assert after.tracks()[0].truth.tolist() == before.tracks()[0].truth.tolist()
    assert after.tracks()[0].stamps_s.tolist() == [round(n / 30, 9) for n in range(12)]


def test_convert_takes_recordings(tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", stamps_s=(0.0, 0.5, 1.0))
    (tmp_path / "labels.csv").write_text("stamp,labels\n0.0,mug\n1.0,\n")

    done = data(
        "convert", tmp_path / "bag", tmp_path / "out", "--labels", tmp_path / "labels.csv",
        "--format", "coco",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    (track,) = open_dataset(tmp_path / "out").tracks()
    assert (track.truth.tolist(), track.stamps_s.tolist()) == ([[1], [0]], [0.0, 1.0])


def test_convert_names_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    folder = scenes(tmp_path / "in")

    unknown = data("convert", folder, tmp_path / "out", "--format", "yaml")
    there = data("convert", folder, folder, "--format", "csv")

    assert (unknown.returncode, there.returncode) == (1, 1)
    assert "expected one of csv, one-hot" in unknown.stderr
    assert "a folder that does not exist yet" in there.stderr
    assert "Traceback" not in unknown.stderr + there.stderr


def test_frames_takes_one_picture_of_each_view_and_leaves_a_table_to_fill_in(
    tmp_path: Path,
) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle").path
    folder = scenes(tmp_path / "in")
    (folder / "labels.csv").unlink()

    done = data("frames", folder, tmp_path / "out", "--count", 8, "--bundle", bundle)

    assert done.returncode == 0, done.stderr
    with (tmp_path / "out/labels.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 3  # one for each view
    assert {round(float(row["stamp"]) * 30) // 4 for row in rows} == {0, 1, 2}
    assert all(row["labels"] == row["unknown"] == "" for row in rows)
    assert all((tmp_path / "out" / row["file"]).is_file() for row in rows)
    text = (tmp_path / "out/labels.csv").read_text().replace(".jpg,,", ".jpg,mug,")
    (tmp_path / "out/labels.csv").write_text(text)
    assert len(open_dataset(tmp_path / "out").sequences[0]) == 3


def test_frames_of_a_recording_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = data("frames", tmp_path / "empty", tmp_path / "out")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
