"""Bytes of camera messages as RGB arrays, without copying where the layout allows.

The encodings are those of ``sensor_msgs/image_encodings.hpp`` and other names that drivers give
them. Nothing here needs ROS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from polymorph_ros.arrays import Image
from polymorph_ros.data.compressed import Buffer, image_from_jpeg
from polymorph_ros.data.foreign_formats import refuse_depth, video_error
from polymorph_ros.data.image_stream import ImageError, ImageStream

__all__ = ["ENCODINGS", "ImageError", "image_from_buffer", "image_from_jpeg", "image_of"]

_ROUGHER = 2.0  # times the change from sample to sample that chroma has where it is no chroma


@dataclass(frozen=True)
class _Layout:
    """How an encoding lies in memory.

    Attributes:
        channels: interleaved samples of a pixel in the first plane.
        depth: bytes of a sample.
        code: OpenCV's conversion to RGB; None where a view suffices.
        backwards: blue comes before red, where a view suffices.
        block: what width and height must be multiples of.
        least: what width and height must be at least.
        chroma: what follows luma: ``half``, pairs for each square of four pixels; ``planes``, two
            planes of that size; ``full``, pairs for each pixel. ``swapped`` has V before U.
    """

    channels: int
    depth: int = 1
    code: int | None = None
    backwards: bool = False
    block: tuple[int, int] = (1, 1)
    least: int = 1
    chroma: Literal["", "half", "planes", "full", "full swapped"] = ""

    def planes(self, height: int, width: int, step: int) -> Iterator[tuple[int, int, int]]:
        """Of each plane its rows, the bytes of a row, and those from one row to the next."""
        rows = height * 3 // 2 if self.chroma == "half" else height
        yield rows, width * self.channels * self.depth, step
        if self.chroma == "planes":
            yield height // 2, width // 2, (step + 1) // 2
            yield height // 2, width // 2, (step + 1) // 2
        elif self.chroma.startswith("full"):
            yield height, 2 * width, 2 * step


def _encodings() -> dict[str, _Layout]:
    table = {"mono8": _Layout(1), "mono16": _Layout(1, 2)}
    for depth in (1, 2):
        for name, backwards in (("rgb", False), ("bgr", True)):
            table[f"{name}{8 * depth}"] = _Layout(3, depth, backwards=backwards)
            table[f"{name}a{8 * depth}"] = _Layout(4, depth, backwards=backwards)
    for names, code in (
        ("yuv422 uyvy uyvy422", cv2.COLOR_YUV2RGB_UYVY),
        ("yuv422_yuy2 yuyv yuy2 yuyv422", cv2.COLOR_YUV2RGB_YUY2),
        ("yvyu yvyu422", cv2.COLOR_YUV2RGB_YVYU),
    ):
        table |= dict.fromkeys(names.split(), _Layout(2, code=code, block=(2, 1)))
    four = (2, 2)
    table["nv12"] = _Layout(1, code=cv2.COLOR_YUV2RGB_NV12, block=four, chroma="half")
    table["nv21"] = _Layout(1, code=cv2.COLOR_YUV2RGB_NV21, block=four, chroma="half")
    i420 = _Layout(1, code=cv2.COLOR_YUV2RGB_I420, block=four, chroma="planes")
    table |= dict.fromkeys(["i420", "iyuv", "yu12", "yuv420", "yuv420p"], i420)
    table["yv12"] = _Layout(1, code=cv2.COLOR_YUV2RGB_YV12, block=four, chroma="planes")
    table["nv24"] = _Layout(1, code=cv2.COLOR_YUV2RGB_UYVY, chroma="full")
    table["nv42"] = _Layout(1, code=cv2.COLOR_YUV2RGB_UYVY, chroma="full swapped")
    for pattern, code in (
        # OpenCV names a Bayer pattern by the square that starts at the second row and column
        ("rggb", cv2.COLOR_BayerBG2RGB),
        ("bggr", cv2.COLOR_BayerRG2RGB),
        ("gbrg", cv2.COLOR_BayerGR2RGB),
        ("grbg", cv2.COLOR_BayerGB2RGB),
    ):
        for depth in (1, 2):
            table[f"bayer_{pattern}{8 * depth}"] = _Layout(1, depth, code=code, block=four, least=4)
    return table


_ENCODINGS = _encodings()
# OpenCV's types, which say nothing of colours: taken in the order in which OpenCV keeps them
_TYPES = {"8uc1": "mono8", "8uc3": "bgr8", "8uc4": "bgra8", "16uc3": "bgr16", "16uc4": "bgra16"}
ENCODINGS: tuple[str, ...] = (*_ENCODINGS, *(name.replace("uc", "UC") for name in _TYPES))


def image_from_buffer(
    data: Buffer,
    height: int,
    width: int,
    step: int,
    encoding: str,
    is_bigendian: bool = False,
    stream: ImageStream | None = None,
) -> Image:
    """The pixels of a ``sensor_msgs/Image`` as uint8 RGB, shape (height, width, 3).

    For rgb8, bgr8, rgba8, bgra8 and mono8 the result is a view of ``data`` with strides
    (read-only where ``data`` is, and for mono); ``step`` may exceed the row. 16-bit samples are
    scaled as ``GreyScale`` says. Luma and chroma follow ITU-R BT.601 in video range.

    Args:
        data: ``step * height`` bytes, with chroma planes behind them where the encoding has such.
            They may go on behind the picture, and the last row needs no padding.
        height: in pixels.
        width: in pixels.
        step: bytes from one row to the next.
        encoding: one of ``ENCODINGS``, in any case.
        is_bigendian: the byte order of 16-bit samples.
        stream: what the camera's pictures share; None for a single picture.

    Raises:
        ImageError: the message is malformed; ``reason`` says how.
    """
    stream = stream or ImageStream()
    layout = _layout_of(encoding, stream)
    if height <= 0 or width <= 0 or len(data) == 0:
        raise ImageError("empty", "pixels", f"{width}x{height} with {len(data)} bytes")
    row = width * layout.channels * layout.depth
    if step < row:
        raise ImageError("step", f"at least {row} bytes for a row of {encoding}", f"{step}")
    stream.check_size(width, height)
    _check_blocks(layout, height, width, encoding)
    raw = np.frombuffer(data, np.uint8)
    planes = _planes(raw, layout, height, width, step, stream)
    sample = np.uint8 if layout.depth == 1 else np.dtype(">u2" if is_bigendian else "<u2")
    strides = (step, layout.channels * layout.depth, layout.depth)
    samples: NDArray[Any] = np.ndarray(
        (height, width, layout.channels), sample, raw, strides=strides
    )
    if layout.depth == 2:
        samples = stream.to_bytes(samples)
    if layout.code is not None:
        if layout.channels == 2:
            _compare_roughness(samples, layout.code, encoding, stream)
        packed = _packed(planes, layout) if layout.chroma else np.ascontiguousarray(samples)
        image = cv2.cvtColor(packed, layout.code).astype(np.uint8, copy=False)
        return image[:, ::2] if layout.chroma.startswith("full") else image
    if layout.channels == 1:
        return np.broadcast_to(samples, (height, width, 3))
    return samples[:, :, 2::-1] if layout.backwards else samples[:, :, :3]


def _layout_of(encoding: str, stream: ImageStream) -> _Layout:
    expected = f"one of {', '.join(ENCODINGS)}"
    name = encoding.strip().lower()
    if name in _TYPES:
        name = _TYPES[name]
        stream.remark(f"encoding {encoding} is taken as {name}: it does not name the colours")
    if name in _ENCODINGS:
        return _ENCODINGS[name]
    refuse_depth(encoding)
    raise video_error(encoding, expected) or ImageError("encoding", expected, repr(encoding))


def _check_blocks(layout: _Layout, height: int, width: int, encoding: str) -> None:
    across, down = layout.block
    if width % across or height % down or min(width, height) < layout.least:
        raise ImageError(
            "size",
            f"sides of {encoding} in multiples of {across}x{down}, at least {layout.least}",
            f"{width}x{height}",
        )


def _planes(
    raw: Image, layout: _Layout, height: int, width: int, step: int, stream: ImageStream
) -> list[Image]:
    """Each plane as uint8 (rows, bytes of a row).

    Raises:
        ImageError: ``size``: the data are too few.
    """
    start = needed = 0
    places = []
    for rows, row, stride in layout.planes(height, width, step):
        needed = start + (rows - 1) * stride + row
        places.append((start, rows, row, stride))
        start += rows * stride
    if raw.size < needed:
        raise ImageError("size", f"{start} bytes", f"{raw.size}")
    if raw.size > start:
        stream.remark("more data than the picture's size says: the rest is passed over")
    return [
        np.ndarray((rows, row), np.uint8, raw, place, (stride, 1))
        for place, rows, row, stride in places
    ]


def _packed(planes: list[Image], layout: _Layout) -> Image:
    """Luma and chroma as OpenCV's conversion takes them."""
    luma, *chroma = planes
    height, width = luma.shape
    if layout.chroma == "half":
        return np.ascontiguousarray(luma)
    if layout.chroma == "planes":
        flat = np.concatenate([plane.reshape(-1) for plane in planes])
        return flat.reshape(height * 3 // 2, width)
    # OpenCV has no conversion for full chroma: each pixel becomes two neighbours that share theirs
    pairs = chroma[0].reshape(height, width, 2)
    u, v = (1, 0) if layout.chroma == "full swapped" else (0, 1)
    uyvy = np.stack([pairs[:, :, u], luma, pairs[:, :, v], luma], axis=2)
    return uyvy.reshape(height, 2 * width, 2)


def _compare_roughness(samples: Image, code: int, encoding: str, stream: ImageStream) -> None:
    """Remark on luma that is smoother than chroma: then the two are likely to be exchanged."""
    if samples.shape[1] < 4:
        return
    luma = 1 if code == cv2.COLOR_YUV2RGB_UYVY else 0
    rows = samples[:: max(1, len(samples) // 8)].astype(np.int16)
    # chroma of the same kind is two samples apart
    rough = [float(np.abs(rows[:, 2:, i] - rows[:, :-2, i]).mean()) for i in (luma, 1 - luma)]
    if rough[1] > _ROUGHER * rough[0] + 1.0:
        other = "yuv422_yuy2" if luma else "yuv422"
        stream.remark(f"luma is smoother than chroma: {encoding} may be {other} in truth")


def image_of(message: Any, stream: ImageStream | None = None) -> Image:
    """The picture of an ``Image`` or ``CompressedImage`` message: uint8 RGB (height, width, 3).

    Args:
        message: of any library that has ROS's field names.
        stream: what the camera's pictures share; None for a single picture.

    Raises:
        ImageError: it is malformed.
    """
    if hasattr(message, "format"):
        return image_from_jpeg(message.data, message.format, stream)
    return image_from_buffer(
        message.data,
        message.height,
        message.width,
        message.step,
        message.encoding,
        bool(message.is_bigendian),
        stream,
    )
