"""Pins ``polymorph label`` before the page opens: bad input is one line, and is said before work
starts; rows of frames that are gone stay in the table.
"""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from helpers.label_page import label_server
from helpers.recordings import picture, write_bag, write_video
from polymorph_ros.cli.main import app
from polymorph_ros.data.label_csv import read_label_csv
from polymorph_ros.data.open_dataset import open_dataset
from polymorph_ros.errors import PolymorphError


def refused(*arguments: object) -> PolymorphError:
    """The error of a command that does not come to serve anything."""
    result = CliRunner().invoke(app, ["label", *map(str, arguments), "--no-browser"])
    assert isinstance(result.exception, PolymorphError), result.output
    return result.exception


def test_a_bag_without_images_is_refused(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", [0.0], topics=(), truth={0.0: {"cup": 1}})

    error = refused(bag, "--labels", tmp_path / "labels.csv", "--no-suggest")

    assert error.where == str(bag)
    assert "image topic" in error.expected


def test_a_folder_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", [0.0])
    (tmp_path / "file").write_text("")

    error = refused(bag, "--labels", tmp_path / "file" / "labels.csv", "--no-suggest")

    assert error.expected == "a place that can be written to"


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", [0.0])
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        error = refused(bag, "--labels", tmp_path / "labels.csv", "--port", port)

    assert error.where == f"127.0.0.1:{port}"
    assert "--port" in str(error)


def test_a_table_with_a_line_that_would_be_lost_is_refused(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", [0.0])
    table = tmp_path / "labels.csv"
    table.write_text("stamp,labels\n0.0,cup\nsoon,box\n")

    error = refused(bag, "--labels", table, "--no-suggest")

    assert error.where == f"{table}, line 3"
    assert table.read_text().count("\n") == 3


def test_a_bundle_that_is_none_is_said_at_once(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", [0.0])

    error = refused(bag, "--labels", tmp_path / "labels.csv", "--bundle", tmp_path / "none")

    assert "none" in str(error)


def test_rows_of_frames_that_are_gone_stay_and_are_shown(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", [0.0, 0.1, 0.2])
    table = tmp_path / "labels.csv"
    table.write_text("sequence,stamp,labels\nbag,0.1,cup\nbag,77.5,box\nold,0.0,cup|jug\n")
    with label_server(bag, "--labels", table, "--no-suggest") as server:
        state = server.state()
        server.change(
            version=state["version"], action="set", clip=0, frame=0, label=0, state="present"
        )

    rows = {(row.sequence, row.stamp_s): row for row in read_label_csv(table).rows}
    assert state["gone"] == ["bag at 77.5 s: box", "old at 0.0 s: cup, jug"]
    assert state["labelled"] == 1
    assert rows["old", 0.0].present == ("cup", "jug")
    assert rows["bag", 77.5].present == ("box",)
    assert rows["bag", 0.0].unknown == ("box", "jug")
    assert len(rows) == 4


def test_a_table_that_another_program_changes_is_not_overwritten(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", [0.0, 0.1])
    table = tmp_path / "labels.csv"
    with label_server(bag, "--labels", table, "--no-suggest") as server:
        server.change(version=0, action="add_label", name="cup")
        table.write_text("stamp,labels\n0.0,mine\n")

        status, answer = server.change(
            version=1, action="set", clip=0, frame=0, label=0, state="present"
        )
        after = server.state()

    assert status == 400
    assert "another program" in answer["error"]
    assert table.read_text() == "stamp,labels\n0.0,mine\n"
    assert (after["version"], after["labelled"], after["undo"]) == (1, 0, "new label: cup")


def test_pictures_are_named_by_their_files(tmp_path: Path) -> None:
    from cv2 import imwrite

    folder = tmp_path / "pictures"
    (folder / "a, b").mkdir(parents=True)
    for name in ("one.png", "a, b/two.png", "a, b/three.png"):
        imwrite(str(folder / name), picture(100))
    table = tmp_path / "labels.csv"
    with label_server(folder, "--labels", table, "--no-suggest") as server:
        names = [clip["name"] for clip in server.state()["clips"]]
        server.change(version=0, action="add_label", name="cup")
        server.change(version=1, action="paint", clip=0, start=0, end=1, label=0, state="present")
        server.change(version=2, action="set", clip=1, frame=0, label=0, state="absent")
    with label_server(folder, "--labels", table, "--no-suggest") as server:
        again = server.state()

    assert names == ["a, b", "pictures"]
    assert {row.file for row in read_label_csv(table).rows} == {
        "one.png", "a, b/two.png", "a, b/three.png"
    }  # fmt: skip
    assert (again["labelled"], again["labels"][0]["absent"]) == (3, 1)
    assert sum(len(one) for one in open_dataset(folder, labels=table).sequences) == 3


def test_recordings_of_one_folder_are_named_as_training_names_them(tmp_path: Path) -> None:
    first = write_bag(tmp_path / "trips" / "monday", [0.0, 0.1])
    second = write_bag(tmp_path / "trips" / "late" / "tuesday", [0.0, 0.1])
    write_bag(tmp_path / "trips" / "unasked", [0.0])
    table = tmp_path / "labels.csv"
    with label_server(first, second, "--labels", table, "--no-suggest") as server:
        clips = [clip["name"] for clip in server.state()["clips"]]
        server.change(version=0, action="add_label", name="cup")
        for clip in (0, 1):
            server.change(
                version=1 + clip, action="set", clip=clip, frame=1, label=0, state="present"
            )

    dataset = open_dataset(tmp_path / "trips", labels=table)
    assert clips == ["late/tuesday", "monday"]
    assert [sequence.track.name for sequence in dataset.sequences] == clips


@pytest.mark.parametrize("kind", ["video", "bag"])
def test_what_is_labelled_is_what_training_reads(tmp_path: Path, kind: str) -> None:
    stamps = [7.0 + n / 10 for n in range(20)]
    place = (
        write_video(tmp_path / "clip.avi", 20)
        if kind == "video"
        else write_bag(tmp_path / "bag", stamps)
    )
    table = tmp_path / "labels.csv"
    with label_server(place, "--labels", table, "--no-suggest") as server:
        server.change(version=0, action="add_label", name="cup")
        server.change(version=1, action="paint", clip=0, start=3, end=5, label=0, state="present")
        server.change(version=2, action="set", clip=0, frame=9, label=0, state="absent")

    (sequence,) = open_dataset(place, labels=table).sequences
    assert sequence.track.truth[:, 0].tolist() == [1, 1, 1, 0]
    found = [round(float(image.mean()) / 10) for image in sequence.pictures.read()]
    assert found == [3, 4, 5, 9]
