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


class PictureStore:
    """JPEGs of frames.

    Args:
        footage: whose frames.
        cache: the folder for thumbnails.
    """

    def __init__(self, footage: Footage, cache: Path) -> None:
        self._footage = footage
        names = [str(clip.recording.path).encode() for clip in footage.clips]
        self._folders = [
            cache / "thumbnails" / hashlib.sha256(name).hexdigest()[:16] for name in names
        ]
        self._writing = threading.Lock()

    def picture(self, key: FrameKey) -> bytes | Fault:
        """A frame as it is, or why it cannot be read."""
        image = self._footage.clips[key[0]].pictures.read(key[1])
        return image if isinstance(image, Fault) else _jpeg(_shrunk(image, _LARGEST))

    def thumbnail(self, key: FrameKey) -> bytes | Fault:
        """A small picture, out of the folder if it was made before."""
        stamp_ns = int(self._footage.clips[key[0]].pictures.stamps_ns[key[1]])
        file = self._folders[key[0]] / f"{stamp_ns}-{key[1]}.jpg"
        try:
            return file.read_bytes()
        except OSError:
            pass
        image = self._footage.clips[key[0]].pictures.read(key[1])
        if isinstance(image, Fault):
            return image
        data = _jpeg(_shrunk(image, THUMBNAIL_WIDTH))
        # a full disk costs time only: the thumbnail is made again
        with self._writing, suppress(PolymorphError), replacing(file) as unfinished:
            unfinished.write_bytes(data)
        return data


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
