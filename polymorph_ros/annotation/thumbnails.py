"""Pictures as the page shows them: JPEG, small ones kept in a folder."""

from __future__ import annotations

import hashlib
import threading
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from polymorph_ros.annotation.book import FrameKey
from polymorph_ros.annotation.footage import Footage
from polymorph_ros.arrays import Image
from polymorph_ros.data.dataset import Fault
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import replacing

THUMBNAIL_WIDTH = 128
_LARGEST = 1600  # a longer side is only bytes on a screen
_QUALITY = 82
AT_ONCE = 4
"""Pictures that are decoded at a time, whatever is asked: each takes its pixels of memory."""
MOST_STORED = 20_000
"""Thumbnails in the folder, some 70 MB; more are made anew each time they are shown."""


class PictureStore:
    """JPEGs of frames.

    Args:
        footage: whose frames.
        cache: the folder for thumbnails.
        most_stored: thumbnails in it.
    """

    def __init__(self, footage: Footage, cache: Path, most_stored: int = MOST_STORED) -> None:
        self._footage = footage
        self._room = threading.BoundedSemaphore(AT_ONCE)
        self._most_stored = most_stored
        self._stored = sum(1 for _ in (cache / "thumbnails").glob("*/*.jpg"))
        names = [str(clip.recording.path).encode() for clip in footage.clips]
        self._folders = [
            cache / "thumbnails" / hashlib.sha256(name).hexdigest()[:16] for name in names
        ]
        self._writing = threading.Lock()

    def picture(self, key: FrameKey) -> bytes | Fault:
        """A frame as it is, or why it cannot be read."""
        return self._made(key, _LARGEST)

    def thumbnail(self, key: FrameKey) -> bytes | Fault:
        """A small picture, out of the folder if it was made before."""
        stamp_ns = int(self._footage.clips[key[0]].pictures.stamps_ns[key[1]])
        file = self._folders[key[0]] / f"{stamp_ns}-{key[1]}.jpg"
        try:
            return file.read_bytes()
        except OSError:
            pass
        data = self._made(key, THUMBNAIL_WIDTH)
        if isinstance(data, bytes):
            self._store(file, data)
        return data

    def _made(self, key: FrameKey, longest: int) -> bytes | Fault:
        with self._room:
            image = self._footage.clips[key[0]].pictures.read(key[1])
            return image if isinstance(image, Fault) else _jpeg(_shrunk(image, longest))

    def _store(self, file: Path, data: bytes) -> None:
        with self._writing:
            if self._stored >= self._most_stored:
                return
            # a full disk costs time only: the thumbnail is made again
            with suppress(PolymorphError), replacing(file) as unfinished:
                unfinished.write_bytes(data)
                self._stored += 1


def _shrunk(image: Image, longest: int) -> Image:
    height, width = image.shape[:2]
    factor = longest / max(height, width)
    if factor >= 1.0:
        return image
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _jpeg(image: Image) -> bytes:
    _, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return data.tobytes()
