"""Pins ``polymorph data check``: what it says, its JSON, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from helpers.recordings import picture, write_bag, write_video

DATA = Path(__file__).parents[3] / "shared/data"
EXAMPLE = Path(__file__).parents[2] / "examples/camvid_davis.py"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"COLUMNS": "140", "PATH": "", "OMP_NUM_THREADS": "1"},
    )


def check(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run("-m", "polymorph_ros.cli.main", "data", "check", *arguments)


def kitchen(folder: Path, frames: int = 40) -> Path:
    """Pictures and their table: mug and oven come together, bed is rare, some is broken."""
    (folder / "pictures").mkdir(parents=True)
    rows = ["sequence,stamp,file,labels,unknown"]
    for number in range(frames):
        name = f"pictures/{number:03}.png"
        if number != 7:
            assert cv2.imwrite(str(folder / name), picture(number))
        labels = "mug|oven" if number < frames // 2 else "bed" if number == frames - 1 else ""
        rows.append(f"day {number % 2},{number / 10},{name},{labels},{'bed' * (number == 3)}")
    rows.append("day 0,soon,x.png,mug,")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_a_report_names_what_there_is_and_what_is_wrong(tmp_path: Path) -> None:
    folder = kitchen(tmp_path / "kitchen [1]")

    answer = check(folder, "--json", tmp_path / "report.json")

    assert answer.returncode == 0, answer.stderr
    words = " ".join(answer.stdout.split())
    for told in (
        "sequences 2",
        "frames 40, 7.6 s at 5 Hz",
        "pictures 39 readable, 48x32",
        "1.02 per frame (at most 2), 47.5% of frames have none",
        "mug oven 2.00 20",
        "bed in 1 frames only",
        "labels.csv, line 42 expected a stamp in seconds, found 'soon'",
        "pictures/007.png no such file or directory",
    ):
        assert told in words
    report = json.loads((tmp_path / "report.json").read_text())
    assert [entry["readable"] for entry in report["sequences"]] == [20, 19]
    assert report["readable"] == 39
    assert [entry["where"] for entry in report["faults"]] == [
        f"{folder / 'labels.csv'}, line 42",
        str(folder / "pictures/007.png"),
    ]
    assert [entry["label"] for entry in report["too_few"]] == ["bed"]
    assert report["pairs"][0] == {"first": "mug", "second": "oven", "frames": 20, "lift": 2.0}
    assert report["unknown_share"] == pytest.approx(1 / 120)


def test_pictures_need_not_be_opened(tmp_path: Path) -> None:
    answer = check(kitchen(tmp_path / "kitchen"), "--no-pictures")

    assert answer.returncode == 0
    assert "pictures were not opened" in answer.stdout
    assert "007.png" not in answer.stdout


def test_a_long_report_is_cut_and_can_be_had_whole(tmp_path: Path) -> None:
    rows = [f"s{number:02},{number}.png,mug\n" for number in range(30)]
    (tmp_path / "labels.csv").write_text("sequence,file,labels\n" + "".join(rows))

    short, whole = check(tmp_path, "--no-pictures"), check(tmp_path, "--no-pictures", "--all")

    assert "and 18 more" in short.stdout
    assert "s29" not in short.stdout
    assert "s29" in whole.stdout


def test_a_bag_and_a_video_are_checked(tmp_path: Path) -> None:
    stamps = [5.0 + number / 10 for number in range(5)]
    bag = write_bag(tmp_path / "bag", stamps, truth={stamp: {"mug": 1} for stamp in stamps})
    video = write_video(tmp_path / "clip.avi", 5)
    table = tmp_path / "labels.csv"
    table.write_text("stamp,labels\n0.12,mug\n")

    assert "pictures 5 readable" in " ".join(check(bag).stdout.split())
    assert check(video, "--labels", table, "--tolerance", "0.05").returncode == 0
    assert check(video, "--labels", table, "--tolerance", "0.01").returncode == 1


def test_nothing_usable_is_code_1_and_one_line(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,labels\na.png,mug\nb.png,\n")

    answer = check(tmp_path)

    assert answer.returncode == 1
    assert "none of 2 pictures can be read" in " ".join(answer.stdout.split())
    assert len(answer.stderr.strip().splitlines()) == 1
    assert "a picture that can be read, found none of 2" in answer.stderr


@pytest.mark.parametrize("arguments", [[], ["x", "--tolerance", "much"], ["x", "--nonsense"]])
def test_wrong_use_is_code_2(arguments: list[str]) -> None:
    assert check(*arguments).returncode == 2


def test_a_path_without_anything_is_code_1(tmp_path: Path) -> None:
    answer = check(tmp_path)
    assert answer.returncode == 1
    assert "Traceback" not in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1


def test_a_report_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    folder = kitchen(tmp_path / "kitchen")
    (tmp_path / "file").touch()

    answer = check(folder, "--no-pictures", "--json", tmp_path / "file" / "report.json")

    assert answer.returncode == 1
    assert "Traceback" not in answer.stderr
    assert "file/report.json: expected a place that can be written to" in answer.stderr


def test_the_example_makes_tables_of_the_evaluation_data(tmp_path: Path) -> None:
    if not DATA.is_dir():
        pytest.skip("no evaluation data at ../shared/data")

    made = run(EXAMPLE, tmp_path)

    assert made.returncode == 0, made.stderr
    frames = {"camvid_train": 367, "camvid_test": 334, "davis_train": 829, "davis_test": 547}
    for name, count in frames.items():
        report = tmp_path / f"{name}.json"
        opened = "--pictures" if name == "camvid_test" else "--no-pictures"
        answer = check(tmp_path / f"{name}.csv", opened, "--json", report)
        assert answer.returncode == 0, answer.stderr
        found = json.loads(report.read_text())
        assert (found["frames"], found["faults"]) == (count, [])
        assert found["readable"] == (count if opened == "--pictures" else None)
