"""Compressed pictures, from messages and from files, as RGB arrays."""

from __future__ import annotations

from array import array
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from polymorph_ros.arrays import Image
from polymorph_ros.data.foreign_formats import refuse_depth, unreadable
from polymorph_ros.data.image_stream import ImageError, ImageStream
from polymorph_ros.data.picture_header import PictureHeader, jpeg_end, read_header

Buffer = bytes | bytearray | memoryview | NDArray[Any] | array

_SILENT = cv2.utils.logging.LOG_LEVEL_SILENT
_END = b"\xff\xd9"  # of a JPEG
_GUESS = b"\x55" * 64  # what a JPEG that breaks off does not go on with


def image_from_jpeg(
    data: Buffer, declared: str = "jpeg", stream: ImageStream | None = None
) -> Image:
    """The pixels of a ``sensor_msgs/CompressedImage`` as uint8 RGB, shape (height, width, 3).

    JPEG, PNG, WebP, BMP, TIFF and PNM. The data themselves say what they are; ``declared`` is
    looked at to know depth, and to name what is no picture. A picture is turned as its EXIF
    orientation says, which is how viewers and labelling tools show it. Bytes behind a JPEG's end
    are passed over. A JPEG without an end marker is taken if nothing else is missing; one that
    breaks off is damaged, though decoders would fill it up with grey. 16-bit samples are scaled
    as ``GreyScale`` says.

    Args:
        data: of one picture.
        declared: the message's ``format`` (``jpeg``, ``rgb8; jpeg compressed bgr8``), or a
            file's suffix.
        stream: what the camera's pictures share; None for a single picture.

    Raises:
        ImageError: ``empty``, ``encoding`` (video, depth, another format), ``size`` (too many
            pixels, before memory is taken) or ``decode``.
    """
    stream = stream or ImageStream()
    content = bytes(data)
    if not content:
        raise ImageError("empty", "a compressed picture", "no data")
    refuse_depth(declared, "a compressed colour picture")
    header = read_header(content)
    if header is None or header.width <= 0 or header.height <= 0:
        raise unreadable(content, declared)
    stream.check_size(header.width, header.height)
    if header.bits > 16:
        raise ImageError("encoding", "samples of 8 or 16 bits", f"{header.bits} bits (depth?)")
    if header.kind == "JPEG":
        image = _jpeg(content, header, stream)
    elif header.kind == "PNG" and b"IEND" not in content:
        image = None
    else:
        image = _decoded(content)
    if image is None:
        raise ImageError("decode", "a whole compressed picture", f"{len(content)} damaged bytes")
    deep = image.dtype != np.uint8
    return (stream.to_bytes(image) if deep else image)[:, :, ::-1].astype(np.uint8, copy=False)


def _jpeg(content: bytes, header: PictureHeader, stream: ImageStream) -> NDArray[Any] | None:
    end = jpeg_end(content, header.scan)
    if end is not None:
        return _decoded(content if end == len(content) else content[:end])
    # It is whole if what might follow makes no difference. Decoders go on with zeros at an end
    # marker; without one they stop in silence, but not before all of a progressive one is there.
    cut = content.rstrip(b"\0")  # the padding of a driver's buffer
    cut += b"\0" if cut.endswith(b"\xff") else b""
    guess = _decoded(cut + _GUESS + (_END if header.progressive else b""))
    image = None if guess is None else _decoded(cut + _END)
    if guess is None or image is None or not np.array_equal(image, guess):
        return None
    stream.remark("JPEG without an end marker")
    return image


def _decoded(content: bytes) -> NDArray[Any] | None:
    """What OpenCV makes of a picture: BGR of 8 or 16 bits, or None. It logs nothing."""
    level = cv2.utils.logging.setLogLevel(_SILENT)
    try:
        raw = np.frombuffer(content, np.uint8)
        image = cv2.imdecode(raw, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error:
        return None
    finally:
        cv2.utils.logging.setLogLevel(level)
    return image if image is not None and image.dtype in (np.uint8, np.uint16) else None
