"""Names of what comes in image messages and is no picture: video packets, depth, archives."""

from __future__ import annotations

import re

from polymorph_ros.data.image_stream import ImageError

# name, how message fields spell it, the transport that decodes it
_BY_TEXT = (
    ("H.264 video", r"h\.?264|x264|\bavc1?\b", "ffmpeg"),
    ("H.265 video", r"h\.?265|x265|hevc|\bhvc1\b|\bhev1\b", "ffmpeg"),
    ("AV1 video", r"av0?1(?!\d)", "ffmpeg"),
    ("VP9 video", r"vp0?9", "ffmpeg"),
    ("VP8 video", r"vp0?8", "ffmpeg"),
    ("MPEG video", r"mpeg-?[124]|mp4|xvid|divx", "ffmpeg"),
    ("Theora video", r"theora", "theora"),
    ("video of a codec", r"ffmpeg|libav", "ffmpeg"),
    ("zstd-compressed pixels", r"zstd", "zstd"),
)
# name, how its data begin, the transport that decodes it
_BY_DATA = (
    # a start code, then the types of units a stream can begin with
    ("H.265 video", rb"\x00\x00\x00?\x01[\x40\x42\x44\x46\x4e\x26\x28\x2a\x02]\x01", "ffmpeg"),
    ("H.264 video", rb"\x00\x00\x00?\x01[\x01-\x7f]", "ffmpeg"),
    ("AV1 video", rb"\x12\x00[\x0a\x0b\x32\x33]|\x0a[\x0a-\x10]\x00\x00\x00", "ffmpeg"),
    ("VP9 video", rb"[\x80-\xbf]\x49\x83\x42", "ffmpeg"),
    ("VP8 video", rb"...\x9d\x01\x2a", "ffmpeg"),
    ("Theora video", rb"OggS|[\x80-\x82]theora", "theora"),
    ("an AVIF or HEIC picture", rb"....ftyp(?:avi[fs]|hei[cfsx]|mif1)", ""),
    ("MP4 video", rb"....ftyp", "ffmpeg"),
    (
        "video in a container",
        rb"\x1a\x45\xdf\xa3|DKIF|FLV\x01|RIFF....AVI |\x47.{187}\x47",
        "ffmpeg",
    ),
    ("MPEG video", rb"\x00\x00\x01[\xb0\xb3\xba]", "ffmpeg"),
    ("zstd-compressed pixels", rb"\x28\xb5\x2f\xfd", "zstd"),
    ("a GIF picture", rb"GIF8", ""),
    ("a JPEG 2000 picture", rb"\x00\x00\x00\x0cjP|\xff\x4f\xff\x51", ""),
    ("a JPEG XL picture", rb"\xff\x0a|\x00\x00\x00\x0cJXL", ""),
    ("an OpenEXR picture", rb"\x76\x2f\x31\x01", ""),
)
_DEPTH = re.compile(r"compresseddepth|\b(?:16[us]c1|32[sf]c1|64fc1|z16|rvl)\b")
_RAW = re.compile(r"\b(?:nv12|nv21|nv24|i420|yuyv|yuy2|uyvy|yuv4\d\d\w*)\b")

EXPECTED = "a picture as JPEG, PNG, WebP, BMP, TIFF or PNM"


def refuse_depth(declared: str, expected: str = "a colour or grey picture") -> None:
    """Refuse what a message declares to be depth.

    Raises:
        ImageError: ``encoding``.
    """
    if _DEPTH.search(declared.lower()):
        raise ImageError(
            "encoding", expected, f"depth ({declared!r})", "give the topic of the colour images"
        )


def video_error(declared: str, expected: str) -> ImageError | None:
    """The error for an encoding or format that names a video codec, else None."""
    for name, pattern, transport in _BY_TEXT:
        if re.search(pattern, declared.lower()):
            return _error(name, declared, expected, transport)
    return None


def unreadable(data: bytes, declared: str) -> ImageError:
    """Why data that begin like no picture cannot be read: what they say to be, or begin like.

    Args:
        data: at least their first 200 bytes.
        declared: the message's ``format``, or the file's suffix.
    """
    error = video_error(declared, EXPECTED)
    if error:
        return error
    for name, pattern, transport in _BY_DATA:
        if re.match(pattern, data, re.DOTALL):
            return _error(name, declared, EXPECTED, transport)
    if _RAW.search(declared.lower()):
        return ImageError(
            "encoding",
            EXPECTED,
            f"raw pixels ({declared!r})",
            "publish them as sensor_msgs/msg/Image with this encoding",
        )
    return ImageError("decode", EXPECTED, f"{len(data)} bytes that begin {data[:4].hex(' ')}")


def _error(name: str, declared: str, expected: str, transport: str) -> ImageError:
    remedy = (
        f"decode it first: ros2 run image_transport republish {transport} raw, and give this "
        "node its output"
        if transport
        else "convert it to JPEG or PNG"
    )
    return ImageError("encoding", expected, f"{name} ({declared!r})", remedy)
