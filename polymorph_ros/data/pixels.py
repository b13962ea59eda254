"""Bytes of camera messages as RGB arrays, without copying where the layout allows.

The encodings are those of ``sensor_msgs/image_encodings.hpp``. Nothing here needs ROS.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from polymorph_ros.arrays import Image
from polymorph_ros.errors import PolymorphError

Buffer = bytes | bytearray | memoryview | NDArray[Any] | array

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_JPEG_TAIL = 2048  # bytes at the end of a JPEG in which its end marker must be


class ImageError(PolymorphError):
    """An image message that cannot be used.

    ``reason`` is short and stable, for counting: ``empty`` (no pixels or no data), ``encoding``
    (unknown), ``step`` (a row does not fit into it), ``size`` (the data are not what height,
    width and step say, or these are impossible for the encoding), ``decode`` (compressed data
    are damaged).
    """

    def __init__(self, reason: str, expected: str, found: str) -> None:
        super().__init__(expected, found, where="image")
        self.reason = reason


@dataclass(frozen=True)
class _Plain:
    """Interleaved channels: a view suffices. ``order`` says which channels are R, G and B."""

    order: tuple[int, int, int]
    channels: int
    depth: int = 1  # bytes of a sample; of two, the more significant one is kept


@dataclass(frozen=True)
class _Converted:
    """OpenCV makes a new array.

    ``depth`` is in bytes of a sample, ``block`` in pixels that width (and height, where
    ``tall``) must be a multiple of, ``rows`` in rows of data per two rows of pixels.
    """

    code: int
    channels: int
    depth: int = 1
    block: int = 1
    tall: bool = False
    rows: int = 2
    least: int = 1


def _encodings() -> dict[str, _Plain | _Converted]:
    table: dict[str, _Plain | _Converted] = {
        "rgb8": _Plain((0, 1, 2), 3),
        "bgr8": _Plain((2, 1, 0), 3),
        "rgba8": _Plain((0, 1, 2), 4),
        "bgra8": _Plain((2, 1, 0), 4),
        "mono8": _Plain((0, 0, 0), 1),
        "mono16": _Plain((0, 0, 0), 1, 2),
        "nv12": _Converted(cv2.COLOR_YUV2RGB_NV12, 1, block=2, tall=True, rows=3),
    }
    for names, code in (
        (("yuv422", "uyvy"), cv2.COLOR_YUV2RGB_UYVY),
        (("yuv422_yuy2", "yuyv"), cv2.COLOR_YUV2RGB_YUY2),
    ):
        for name in names:
            table[name] = _Converted(code, 2, block=2)
    for pattern, code in (
        # OpenCV names a Bayer pattern by the square that starts at the second row and column
        ("rggb", cv2.COLOR_BayerBG2RGB),
        ("bggr", cv2.COLOR_BayerRG2RGB),
        ("gbrg", cv2.COLOR_BayerGR2RGB),
        ("grbg", cv2.COLOR_BayerGB2RGB),
    ):
        for bits in (8, 16):
            table[f"bayer_{pattern}{bits}"] = _Converted(
                code, 1, bits // 8, block=2, tall=True, least=4
            )
    return table


_ENCODINGS = _encodings()
ENCODINGS: tuple[str, ...] = tuple(_ENCODINGS)


def image_from_buffer(
    data: Buffer, height: int, width: int, step: int, encoding: str, is_bigendian: bool = False
) -> Image:
    """The pixels of a ``sensor_msgs/Image`` as uint8 RGB, shape (height, width, 3).

    For rgb8, bgr8, rgba8, bgra8, mono8 and mono16 the result is a view of ``data`` with
    strides (read-only where ``data`` is, and for mono); ``step`` may exceed the row. Samples of
    16 bits keep their upper 8. Luma and chroma follow ITU-R BT.601 in video range.

    Args:
        data: ``step * height`` bytes, for nv12 half as much again.
        height: in pixels.
        width: in pixels.
        step: bytes from one row to the next.
        encoding: one of ``ENCODINGS``.
        is_bigendian: the byte order of 16-bit samples.

    Raises:
        ImageError: the message is malformed; ``reason`` says how.
    """
    layout = _ENCODINGS.get(encoding)
    if layout is None:
        raise ImageError("encoding", f"one of {', '.join(ENCODINGS)}", repr(encoding))
    if height <= 0 or width <= 0 or len(data) == 0:
        raise ImageError("empty", "pixels", f"{width}x{height} with {len(data)} bytes")
    if step < width * layout.channels * layout.depth:
        raise ImageError(
            "step",
            f"at least {width * layout.channels * layout.depth} bytes for a row of {encoding}",
            f"{step}",
        )
    rows = height
    if isinstance(layout, _Converted):
        _check_blocks(layout, height, width, encoding)
        rows = height * layout.rows // 2
    raw = np.frombuffer(data, np.uint8)
    if raw.size != step * rows:
        raise ImageError("size", f"{step * rows} bytes", f"{raw.size}")
    # of a 16-bit sample only its more significant byte is looked at
    offset = layout.depth - 1 if not is_bigendian else 0
    samples: Image = np.ndarray(
        (rows, width, layout.channels),
        np.uint8,
        raw,
        offset,
        (step, layout.channels * layout.depth, layout.depth),
    )
    if isinstance(layout, _Converted):
        return _converted(samples, layout)
    if layout.channels == 1:
        return np.broadcast_to(samples, (height, width, 3))
    return samples[:, :, :3] if layout.order[0] == 0 else samples[:, :, 2::-1]


def _check_blocks(layout: _Converted, height: int, width: int, encoding: str) -> None:
    across = width % layout.block == 0 and width >= layout.least
    down = not layout.tall or (height % layout.block == 0 and height >= layout.least)
    if not (across and down):
        raise ImageError(
            "size",
            f"sides of {encoding} in multiples of {layout.block}, at least {layout.least}",
            f"{width}x{height}",
        )


def _converted(samples: Image, layout: _Converted) -> Image:
    image = cv2.cvtColor(np.ascontiguousarray(samples), layout.code)
    return image.astype(np.uint8, copy=False)


def image_from_jpeg(data: Buffer, declared: str = "jpeg") -> Image:
    """The pixels of a ``sensor_msgs/CompressedImage`` as uint8 RGB, shape (height, width, 3).

    JPEG, PNG and whatever else OpenCV decodes. ``declared`` is the message's ``format`` field
    (``jpeg``, ``rgb8; jpeg compressed bgr8``): the data themselves say what they are, but depth
    images are known by it and refused. A JPEG that breaks off is damaged, though decoders would
    fill it up with grey.

    Raises:
        ImageError: ``empty``, ``encoding`` (compressed depth) or ``decode``.
    """
    raw = np.frombuffer(data, np.uint8)
    if raw.size == 0:
        raise ImageError("empty", "a compressed picture", "no data")
    if "compressedDepth" in declared:
        raise ImageError("encoding", "a compressed colour picture", repr(declared))
    broken = raw[:2].tobytes() == _JPEG_START and _JPEG_END not in raw[-_JPEG_TAIL:].tobytes()
    image = None if broken else _decoded(raw)
    if image is None:
        raise ImageError("decode", "a whole compressed picture", f"{raw.size} damaged bytes")
    return image[:, :, ::-1].astype(np.uint8, copy=False)


def _decoded(raw: Image) -> NDArray[Any] | None:
    try:
        return cv2.imdecode(raw, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None


def image_of(message: Any) -> Image:
    """The picture of an ``Image`` or ``CompressedImage`` message: uint8 RGB (height, width, 3).

    The message may be of any library that has ROS's field names.

    Raises:
        ImageError: it is malformed.
    """
    if hasattr(message, "format"):
        return image_from_jpeg(message.data, message.format)
    return image_from_buffer(
        message.data,
        message.height,
        message.width,
        message.step,
        message.encoding,
        bool(message.is_bigendian),
    )
