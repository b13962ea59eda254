"""Pins what pictures for the page may take: so many decoded at a time, so many small files, and no
small picture larger than it has to be.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from helpers.recordings import write_bag
from polymorph_ros.annotation.footage import Clip, Footage, open_footage
from polymorph_ros.annotation.thumbnails import AT_ONCE, THUMBNAIL_WIDTH, PictureStore
from polymorph_ros.arrays import Image

FRAMES = 40


class Gate:
    """Pictures that take as long as others are being read, up to a limit that must not be met."""

    def __init__(self) -> None:
        self.stamps_ns = np.arange(FRAMES, dtype=np.int64)
        self.most = 0
        self._reading = 0
        self._lock = threading.Lock()
        self._crowd = threading.Barrier(AT_ONCE + 1)

    def read(self, number: int) -> Image:
        with self._lock:
            self._reading += 1
            self.most = max(self.most, self._reading)
        try:
            self._crowd.wait(0.05)  # passes only if more than allowed are here
        except threading.BrokenBarrierError:
            self._crowd.reset()
        with self._lock:
            self._reading -= 1
        return np.zeros((8, 8, 3), np.uint8)


def test_a_burst_of_requests_decodes_a_few_pictures_at_a_time(tmp_path: Path) -> None:
    bag = open_footage([write_bag(tmp_path / "bag", [0.0])], topic=None, fps=1.0)
    gate = Gate()
    clip = Clip("gate", bag.clips[0].recording, gate)
    store = PictureStore(Footage(tmp_path, (clip,), (), None), tmp_path / "cache")

    with ThreadPoolExecutor(FRAMES) as browser:
        pictures = list(browser.map(lambda n: store.picture((0, n)), range(FRAMES)))

    assert all(isinstance(picture, bytes) for picture in pictures)
    assert 1 <= gate.most <= AT_ONCE


def test_thumbnails_are_bounded_in_number_and_size(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", [n / 10 for n in range(6)])
    footage = open_footage([bag], topic=None, fps=1.0)
    cache = tmp_path / "cache"

    made = [PictureStore(footage, cache, 2).thumbnail((0, number)) for number in range(6)]
    again = [PictureStore(footage, cache, 2).thumbnail((0, number)) for number in range(6)]

    assert len(list(cache.rglob("*.jpg"))) == 2
    assert made == again
    for data in made:
        assert isinstance(data, bytes)
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert max(picture.shape) <= THUMBNAIL_WIDTH
        assert len(data) < 20_000
