"""Pins data sets of picture files: sequences, stamps, truth, and pictures that cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from polymorph_ros.data.dataset import Dataset, Fault
from polymorph_ros.data.open_dataset import open_dataset
from polymorph_ros.errors import PolymorphError


def paint(path: Path, brightness: int) -> Path:
    """A picture whose red is its brightness, so that it can be told from others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.zeros((8, 12, 3), np.uint8)
    image[..., 2] = brightness
    assert cv2.imwrite(str(path), image)
    return path


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def reds(dataset: Dataset, sequence: int = 0) -> list[int | str]:
    """The red of each picture of a sequence, or where one cannot be read."""
    found: list[int | str] = []
    for picture in dataset.sequences[sequence].pictures.read():
        if isinstance(picture, Fault):
            found.append(picture.where)
        else:
            assert picture.shape == (8, 12, 3)
            found.append(int(picture[..., 0].mean()))
    return found


def test_a_table_with_everything(tmp_path: Path) -> None:
    for number in range(4):
        paint(tmp_path / f"{number}.png", 10 * number)
    path = write(
        tmp_path / "any.csv",
        "sequence,stamp,file,labels,unknown\n"
        "b,7.5,3.png,oven,\n"
        "a,2.0,1.png,mug,oven\n"
        "a,1.0,0.png,mug|oven,\n"
        "a,3.5,2.png,,\n",
    )

    dataset = open_dataset(path)

    assert dataset.vocabulary.names == ("oven", "mug")
    assert [track.name for track in dataset.tracks()] == ["a", "b"]
    first, second = dataset.tracks()
    np.testing.assert_array_equal(first.stamps_s, [1.0, 2.0, 3.5])
    np.testing.assert_array_equal(first.truth, [[1, 1], [-1, 1], [0, 0]])
    np.testing.assert_array_equal(second.truth, [[1, 0]])
    assert first.truth.dtype == np.int8
    assert (reds(dataset, 0), reds(dataset, 1)) == ([0, 10, 20], [30])
    assert (dataset.faults, dataset.assumptions) == ((), ())


def test_without_sequences_and_stamps_folders_and_names_tell_them(tmp_path: Path) -> None:
    write(
        tmp_path / "table.csv",
        "file,labels\nleft/f_00010.jpg,mug\nleft/f_00005.jpg,\nright/b.jpg,mug\nc.jpg,mug\n",
    )

    dataset = open_dataset(tmp_path / "table.csv", fps=10.0)

    left, right, top = dataset.tracks()
    assert [left.name, right.name, top.name] == ["left", "right", "table"]
    np.testing.assert_array_equal(left.stamps_s, [0.5, 1.0])
    np.testing.assert_array_equal(left.truth, [[0], [1]])
    assert dataset.assumptions == ("stamps from file names, at 10 Hz",)


@pytest.mark.parametrize("given", [True, False])
def test_a_folder_with_its_table(tmp_path: Path, given: bool) -> None:
    paint(tmp_path / "data/kitchen/0.png", 50)
    place = tmp_path if given else tmp_path / "data"
    labels = write(place / "labels.csv", "file,labels\nkitchen/0.png,mug\n")
    write(tmp_path / "data/other.csv", "what,ever\n")

    dataset = open_dataset(tmp_path / "data", labels=labels if given else None)

    assert reds(dataset) == [50]


def test_a_file_may_lie_elsewhere_if_written_so(tmp_path: Path) -> None:
    paint(tmp_path / "pictures/0.png", 10)
    far = paint(tmp_path / "far/1.png", 20)
    (tmp_path / "tables").mkdir()
    path = write(
        tmp_path / "tables/t.csv", f"sequence,file,labels\ns,../pictures/0.png,mug\ns,{far},\n"
    )

    assert reds(open_dataset(path)) == [10, 20]


def test_a_picture_that_cannot_be_read_is_named_and_the_others_stay(tmp_path: Path) -> None:
    paint(tmp_path / "0.jpg", 10)
    whole = paint(tmp_path / "4.jpg", 40).read_bytes()
    (tmp_path / "1.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "2.jpg").write_bytes(b"")
    paths = [str(tmp_path / f"{number}.jpg") for number in range(5)]
    rows = "".join(f"{number}.jpg,mug\n" for number in range(5))

    dataset = open_dataset(write(tmp_path / "labels.csv", "file,labels\n" + rows))

    red = reds(dataset)
    assert red[1:4] == paths[1:4]
    assert [red[0], red[4]] == pytest.approx([10, 40], abs=3)
    assert len(dataset.sequences[0]) == 5


def test_a_stamp_that_comes_twice_is_named(tmp_path: Path) -> None:
    path = write(
        tmp_path / "labels.csv", "stamp,file,labels\n1,a.png,mug\n2,b.png,\n1.0,c.png,mug\n"
    )

    dataset = open_dataset(path)

    assert len(dataset.sequences[0]) == 2
    assert [fault.where for fault in dataset.faults] == [f"{path}, line 4"]
    assert "1 s" in dataset.faults[0].reason


def test_bad_rows_are_faults_of_the_data_set(tmp_path: Path) -> None:
    path = write(tmp_path / "labels.csv", "file,labels\na.png,mug\nb.png\n")

    dataset = open_dataset(path)

    assert [fault.where for fault in dataset.faults] == [f"{path}, line 3"]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "found none"),
        ({"a.csv": "", "b.csv": ""}, "found a.csv, b.csv; name the file"),
        ({"labels.csv": "file,labels\na.png,\n"}, "at least one label"),
    ],
)
def test_a_folder_without_labels_is_refused(
    tmp_path: Path, files: dict[str, str], told: str
) -> None:
    for name, text in files.items():
        write(tmp_path / name, text)
    with pytest.raises(PolymorphError, match=told):
        open_dataset(tmp_path)


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolymorphError, match="found nothing"):
        open_dataset(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"tolerance_s": -1.0}, "tolerance of 0 s or more, found -1"),
        ({"tolerance_s": float("nan")}, "found nan"),
        ({"fps": 0.0}, "frames per second, found 0"),
        ({"separator": ""}, "separator of labels"),
    ],
)
def test_impossible_options_are_refused(tmp_path: Path, options: dict[str, Any], told: str) -> None:
    with pytest.raises(PolymorphError, match=told):
        open_dataset(tmp_path, **options)


def test_a_place_that_the_system_refuses_is_told(tmp_path: Path) -> None:
    with pytest.raises(PolymorphError, match=r"readable place, found File name too long"):
        open_dataset(tmp_path / ("x" * 300))
