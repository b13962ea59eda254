"""Pins that pictures by number are those of the recording in order, whatever it is stored in, and
that stamps read quickly are the stamps.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from helpers.recordings import picture, write_bag, write_checked_mcap, write_ros1_bag, write_video
from polymorph_ros.data.dataset import Fault
from polymorph_ros.data.recordings import find_recordings
from polymorph_ros.data.seeking import open_pictures

STAMPS = [n / 10 for n in range(20)]


def _folder(path: Path) -> Path:
    path.mkdir()
    for number in range(20):
        cv2.imwrite(str(path / f"{number:04d}.png"), picture(10 * number))
    return path


MAKERS = {
    "mcap": lambda root: write_bag(root / "bag", STAMPS),
    "jpeg": lambda root: write_bag(root / "bag", STAMPS, compressed=True),
    "sqlite": lambda root: write_bag(root / "bag", STAMPS, storage=StoragePlugin.SQLITE3),
    "messages": lambda root: write_bag(root / "bag", STAMPS, packed=CompressionMode.MESSAGE),
    "file": lambda root: write_bag(root / "bag", STAMPS, packed=CompressionMode.FILE),
    "checked": lambda root: write_checked_mcap(root / "bag.mcap", STAMPS),
    "ros1": lambda root: write_ros1_bag(root / "bag.bag", STAMPS),
    "video": lambda root: write_video(root / "clip.avi", 20),
    "folder": lambda root: _folder(root / "pictures"),
    "disorder": lambda root: write_bag(
        root / "bag", STAMPS, headers_s=[STAMPS[n ^ 1] for n in range(20)]
    ),
    "repeated": lambda root: write_bag(root / "bag", [n // 2 / 5 for n in range(20)]),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_pictures_by_number_are_those_in_order(tmp_path: Path, kind: str) -> None:
    place = MAKERS[kind](tmp_path)
    (whole,), _ = find_recordings(place, topic=None, fps=10.0)
    moments = [(moment.stamp_ns, moment.decode()) for moment in whole.moments()]

    (quick,), _ = find_recordings(place, topic=None, fps=10.0, quick=True)
    pictures = open_pictures(quick)

    assert np.abs(pictures.stamps_ns - [stamp for stamp, _ in moments]).max() <= 1_000_000
    order = np.random.default_rng(0).permutation(len(moments)).tolist()
    for number in [*order, *range(len(moments)), len(moments) - 1]:
        image = pictures.read(number)
        assert not isinstance(image, Fault)
        assert np.array_equal(image, moments[number][1])


def test_a_damaged_picture_is_a_fault_and_the_next_is_not(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", STAMPS, compressed=True, damaged=7)
    (recording,), _ = find_recordings(bag, topic=None, fps=10.0, quick=True)
    pictures = open_pictures(recording)

    assert isinstance(pictures.read(7), Fault)
    assert not isinstance(pictures.read(8), Fault)


def test_a_file_that_is_gone_is_a_fault(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "pictures")
    (recording,), _ = find_recordings(folder, topic=None, fps=10.0)
    pictures = open_pictures(recording)
    (folder / "0003.png").unlink()

    assert isinstance(pictures.read(3), Fault)
