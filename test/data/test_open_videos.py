"""Pins labelled videos and folders of pictures with stamps: names, times, and what is broken."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.recordings import brightness_of, picture, write_video
from polymorph_ros.data.image_files import stamps_of_names
from polymorph_ros.data.open_dataset import open_dataset
from polymorph_ros.errors import PolymorphError


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


# with an index and without, with times of its own, and one that tells no time of its last picture
@pytest.mark.parametrize(
    ("suffix", "codec"), [("avi", "MJPG"), ("mp4", "mp4v"), ("mkv", "mp4v"), ("mpg", "PIM1")]
)
def test_a_video_with_its_table(tmp_path: Path, suffix: str, codec: str) -> None:
    video = write_video(tmp_path / f"clip.{suffix}", 8, hz=25.0, codec=codec)
    write(tmp_path / "clip.csv", "stamp,labels\n0.281,mug\n0.04,\n0.12,mug|oven\n")

    dataset = open_dataset(video, tolerance_s=0.01)

    (track,) = dataset.tracks()
    assert track.name == "clip"
    np.testing.assert_array_equal(track.stamps_s, [0.04, 0.12, 0.281])
    np.testing.assert_array_equal(track.truth, [[0, 0], [1, 1], [1, 0]])
    assert brightness_of(dataset) == [10, 30, 70]
    assert brightness_of(dataset) == [10, 30, 70], "pictures can be read again"


def test_a_folder_of_videos(tmp_path: Path) -> None:
    write_video(tmp_path / "monday.avi", 4)
    write_video(tmp_path / "trips/tuesday.mp4", 4, codec="mp4v")
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    table = write(
        tmp_path / "labels.csv",
        "sequence,stamp,labels\nmonday,0.2,mug\ntrips/tuesday,0.3,\nbroken,0,mug\n",
    )

    dataset = open_dataset(tmp_path)

    assert [track.name for track in dataset.tracks()] == ["monday", "trips/tuesday"]
    assert [brightness_of(dataset, sequence) for sequence in (0, 1)] == [[20], [30]]
    assert {fault.where for fault in dataset.faults} == {
        str(tmp_path / "broken.mp4"),
        f"{table}, line 4",
    }


def test_a_video_that_breaks_off_gives_what_is_there(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mkv", 20, codec="mp4v")
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    rows = "".join(f"{number / 10},mug\n" for number in range(20))

    dataset = open_dataset(video, labels=write(tmp_path / "l.csv", "stamp,labels\n" + rows))

    told = brightness_of(dataset)
    whole = [item for item in told if isinstance(item, int)]
    assert len(told) == 20
    assert 2 <= len(whole) < 20
    assert whole == [10 * number for number in range(len(whole))]
    assert all("no picture within" in str(item) for item in told[len(whole) :])


def test_the_tolerance_is_kept(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.avi", 3)
    table = write(tmp_path / "t.csv", "stamp,labels\n0.13,mug\n")
    assert brightness_of(open_dataset(video, labels=table, tolerance_s=0.04)) == [10]
    (reason,) = brightness_of(open_dataset(video, labels=table, tolerance_s=0.02))
    assert reason == "no picture within 0.02 s, the nearest is 0.03 s away"


def test_folders_of_pictures_with_stamps_in_their_names(tmp_path: Path) -> None:
    for place in ("left/5000000000.500000.png", "left/5000000001.png", "right/f10.png"):
        path = tmp_path / place
        path.parent.mkdir(exist_ok=True)
        assert cv2.imwrite(str(path), picture(10 * len(list(tmp_path.rglob("*.png")))))
    write(tmp_path / "any.csv", "sequence,stamp,labels\nright,1.0,mug\n")

    dataset = open_dataset(tmp_path, fps=10.0)

    assert [track.name for track in dataset.tracks()] == ["right"]
    assert brightness_of(dataset) == [20]
    assert dataset.assumptions == ("stamps from file names, at 10 Hz",)
    assert [fault.where for fault in dataset.faults] == ["left"]


@pytest.mark.parametrize(
    ("names", "stamps"),
    [
        (["00002", "00000"], [0.2, 0.0]),  # frame numbers
        (["f_30", "f_9"], [3.0, 0.9]),  # of different lengths
        (["1305031102.175304", "1305031102.2"], [1305031102.175304, 1305031102.2]),  # seconds
        (["1403636579763555584", "1403636580763555584"], [1403636579.7635555, 1403636580.7635555]),
        (["b", "a", "c"], [0.0, 0.1, 0.2]),  # no numbers: as given
        (["a1", "b2"], [0.0, 0.1]),  # not of one series
        (["a1", "a01"], [0.1, 0.1]),
        (["7", "7"], [0.0, 0.1]),  # not different
    ],
)
def test_stamps_of_names(names: list[str], stamps: list[float]) -> None:
    assert stamps_of_names(names, 10.0)[0] == pytest.approx(stamps, rel=1e-12)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (None, "clip.csv beside the video"),
        ("file,labels\na.jpg,mug\n", "a column stamp, found the columns file,labels"),
    ],
)
def test_a_video_without_a_fit_table_is_refused(
    tmp_path: Path, table: str | None, told: str
) -> None:
    video = write_video(tmp_path / "clip.avi", 2)
    if table:
        write(tmp_path / "clip.csv", table)
    with pytest.raises(PolymorphError, match=told):
        open_dataset(video)


def test_a_table_without_files_needs_pictures(tmp_path: Path) -> None:
    table = write(tmp_path / "labels.csv", "sequence,stamp,labels\na,1,mug\n")
    with pytest.raises(PolymorphError, match="give the video, recording or folder"):
        open_dataset(table)
    with pytest.raises(PolymorphError, match="there is none"):
        open_dataset(tmp_path)


def test_a_broken_video_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    table = write(tmp_path / "clip.csv", "stamp,labels\n0,mug\n")
    with pytest.raises(PolymorphError, match=r"clip\.mp4") as caught:
        open_dataset(tmp_path / "clip.mp4", labels=table)
    assert "\n" not in str(caught.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PolymorphError, match="another kind"):
        open_dataset(write(tmp_path / "notes.txt", "hello"))
    table = write(tmp_path / "labels.csv", "file,labels\na.png,mug\n")
    with pytest.raises(PolymorphError, match=r"found labels\.csv"):
        open_dataset(table, labels=table)
