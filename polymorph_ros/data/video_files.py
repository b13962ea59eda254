"""Pictures in video files, read with OpenCV."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from polymorph_ros.data.dataset import Fault
from polymorph_ros.data.joining import Image, Moment
from polymorph_ros.errors import PolymorphError

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg"})

# FFmpeg writes errors to stderr by itself; they are reported as faults here.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


@dataclass(frozen=True)
class VideoFile:
    """The pictures of a video file; stamps are seconds in the file's own time."""

    path: Path
    name: str
    frame_id: str = ""

    @property
    def clock(self) -> None:
        """None: a video has one time only."""
        return None

    def moments(self) -> Iterator[Moment]:
        """Its pictures, turned upright where the file says how; an undecodable one is a fault.

        Raises:
            PolymorphError: it cannot be opened.
        """
        capture = open_video(self.path)
        try:
            rate = capture.get(cv2.CAP_PROP_FPS) or 1.0
            number, stamp_s = 0, -np.inf
            while capture.grab():
                given_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
                # some containers have no times
                stamp_s = given_s if given_s > stamp_s else max(number / rate, stamp_s + 1.0 / rate)
                yield Moment(stamp_s, partial(self._decoded, capture, stamp_s))
                number += 1
        finally:
            capture.release()

    def _decoded(self, capture: cv2.VideoCapture, stamp_s: float) -> Image | Fault:
        sound, image = capture.retrieve()
        if not sound or image is None:
            return Fault(f"{self.path}, {stamp_s:.3f} s", "the picture cannot be decoded")
        return image[:, :, ::-1].astype(np.uint8, copy=False)


def open_video(path: Path) -> cv2.VideoCapture:
    """Open a video file.

    Raises:
        PolymorphError: it is none, or broken from the start.
    """
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise PolymorphError(
            "a video that OpenCV can open",
            "a file that it cannot" if path.exists() else "nothing",
            where=str(path),
        )
    return capture


def find_videos(path: Path) -> tuple[list[VideoFile], list[Fault]]:
    """A video file, or all in a folder and below, that can be opened, and what cannot.

    A video bears the name of its file, without suffix, below the folder: ``trips/monday``.
    """
    root = path if path.is_dir() else path.parent
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    videos: list[VideoFile] = []
    faults: list[Fault] = []
    for file in files:
        if file.suffix.lower() in VIDEO_SUFFIXES and file.is_file():
            try:
                open_video(file).release()
            except PolymorphError as error:
                faults.append(Fault.of(error))
            else:
                videos.append(VideoFile(file, file.relative_to(root).with_suffix("").as_posix()))
    return videos, faults
