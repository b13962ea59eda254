"""Kind and size of a compressed picture, read from its first bytes before any is decoded.

OpenCV offers no way to ask for a size, and takes the memory that a header claims. The formats are
those of ISO/IEC 10918-1 (JPEG), the PNG, WebP and TIFF 6.0 specifications, BMP, and Netpbm.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

_LONE = frozenset({0x01, *range(0xD0, 0xD8)})  # JPEG markers without a length
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # that have the size
_SCAN, _END = 0xDA, 0xD9
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # that ends the data of a scan
_NETPBM = re.compile(rb"P[1-6]\s+(\d{1,9})\s+(\d{1,9})\s")
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_BITS = 256, 257, 258
_TIFF_TILE_WIDTH, _TIFF_TILE_HEIGHT = 322, 323
_TIFF_TAGS = (_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_BITS, _TIFF_TILE_WIDTH, _TIFF_TILE_HEIGHT)


@dataclass(frozen=True)
class PictureHeader:
    """What the first bytes of a picture say.

    Attributes:
        kind: ``JPEG``, ``PNG``, ``WebP``, ``BMP``, ``TIFF`` or ``PNM``.
        width: in pixels; so is ``height``. Of a TIFF in tiles at least a tile's.
        scan: of a JPEG, where the data of its first scan begin.
        progressive: of a JPEG, whether several scans refine each other.
        bits: of a sample, where it may exceed 16 (TIFF).
    """

    kind: str
    width: int
    height: int
    scan: int = 0
    progressive: bool = False
    bits: int = 0


def read_header(data: bytes) -> PictureHeader | None:
    """The header of a picture; None if it is of another kind or not whole."""
    try:
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data)
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return PictureHeader("PNG", *struct.unpack_from(">II", data, 16))
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
        if data.startswith(b"BM"):
            return _bmp(data)
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _tiff(data)
    except (struct.error, IndexError, ValueError):
        return None  # it breaks off
    match = _NETPBM.match(re.sub(rb"#[^\r\n]*", b"", data[:4096]))
    return PictureHeader("PNM", int(match[1]), int(match[2])) if match else None


def _jpeg(data: bytes) -> PictureHeader | None:
    """Walk the segments as decoders do, to the first scan."""
    place, size, progressive = 2, None, False
    while True:
        place = data.index(b"\xff", place)
        while data[place] == 0xFF:
            place += 1
        marker, place = data[place], place + 1
        if marker == 0 or marker in _LONE:
            continue
        (length,) = struct.unpack_from(">H", data, place)
        if marker in _FRAMES and size is None:
            size, progressive = struct.unpack_from(">HH", data, place + 3), marker % 4 == 2
        if marker == _SCAN:
            scan = place + length
            return PictureHeader("JPEG", size[1], size[0], scan, progressive) if size else None
        place += max(2, length)


def jpeg_end(data: bytes, scan: int) -> int | None:
    """Where a JPEG ends, behind its end marker; None if it has none.

    Args:
        data: the picture, perhaps with other bytes behind it.
        scan: where the data of its first scan begin.
    """
    if data.endswith(b"\xff\xd9"):
        return len(data)
    match = _MARKER.search(data, scan)
    while match:
        if data[match.end() - 1] == _END:
            return match.end()
        # tables, or a further scan of a progressive picture
        length = int.from_bytes(data[match.end() : match.end() + 2], "big")
        match = _MARKER.search(data, match.end() + max(2, length))
    return None


def _webp(data: bytes) -> PictureHeader | None:
    kind = data[12:16]
    if kind == b"VP8X":
        sides = [int.from_bytes(data[place : place + 3], "little") + 1 for place in (24, 27)]
    elif kind == b"VP8L":
        (packed,) = struct.unpack_from("<I", data, 21)
        sides = [(packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1]
    elif kind == b"VP8 ":
        sides = [side & 0x3FFF for side in struct.unpack_from("<HH", data, 26)]
    else:
        return None
    return PictureHeader("WebP", sides[0], sides[1])


def _bmp(data: bytes) -> PictureHeader:
    (header,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header == 12 else "<ii", data, 18)
    return PictureHeader("BMP", width, abs(height))


def _tiff(data: bytes) -> PictureHeader | None:
    order = "<" if data.startswith(b"II") else ">"
    (place,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, place)
    values: dict[int, int] = {}
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        tag, kind, many = struct.unpack_from(order + "HHI", data, entry)
        item, at = order + ("H" if kind == 3 else "I"), entry + 8
        if kind == 3 and many > 2:  # they do not fit in here
            (at,) = struct.unpack_from(order + "I", data, at)
        if tag in _TIFF_TAGS:
            (values[tag],) = struct.unpack_from(item, data, at)
    if _TIFF_WIDTH not in values or _TIFF_HEIGHT not in values:
        return None
    width = max(values[_TIFF_WIDTH], values.get(_TIFF_TILE_WIDTH, 0))
    height = max(values[_TIFF_HEIGHT], values.get(_TIFF_TILE_HEIGHT, 0))
    return PictureHeader("TIFF", width, height, bits=values.get(_TIFF_BITS, 1))
