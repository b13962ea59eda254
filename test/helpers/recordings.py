"""Small rosbag2 recordings and videos that the tests of data write."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from polymorph_ros.data.bags import COMPRESSED_IMAGE, IMAGE, STRING, TRUTH_TOPIC
from polymorph_ros.data.dataset import Dataset, Fault

CAMERA = "/cam"

_TYPES = get_typestore(Stores.ROS2_HUMBLE)
_HEIGHT, _WIDTH = 32, 48


def picture(brightness: int) -> np.ndarray:
    """RGB, all of it as bright as said, so that pictures can be told apart."""
    return np.full((_HEIGHT, _WIDTH, 3), brightness, np.uint8)


def brightness_of(dataset: Dataset, sequence: int = 0) -> list[int | str]:
    """Of each frame of a sequence, to the nearest ten; or why it cannot be read."""
    return [
        item.reason if isinstance(item, Fault) else round(float(item.mean()) / 10) * 10
        for item in dataset.sequences[sequence].pictures.read()
    ]


def write_bag(
    path: Path,
    stamps_s: Sequence[float],
    *,
    storage: StoragePlugin = StoragePlugin.MCAP,
    compressed: bool = False,
    truth: Mapping[float, object] | None = None,
    topics: Sequence[str] = (CAMERA,),
    damaged: int | None = None,
    large: bool = False,
    packed: CompressionMode = CompressionMode.NONE,
    headers_s: Sequence[float] | None = None,
) -> Path:
    """A recording whose picture n has a brightness of 10 (n mod 25); ``damaged`` is broken.

    ``stamps_s`` are log times, and those of the headers too unless ``headers_s`` are given.
    """
    kind = COMPRESSED_IMAGE if compressed else IMAGE
    recorder = Writer(path, version=8, storage_plugin=storage)
    recorder.set_compression(packed, CompressionFormat.ZSTD)
    with recorder as writer:
        links = [writer.add_connection(topic, kind, typestore=_TYPES) for topic in topics]
        text = writer.add_connection(TRUTH_TOPIC, STRING, typestore=_TYPES) if truth else None
        for number, stamp_s in enumerate(stamps_s):
            image = picture(10 * (number % 25))
            if large:
                image = np.tile(image, (8, 8, 1))
            header_s = stamp_s if headers_s is None else headers_s[number]
            raw = _message(image, header_s, compressed, number == damaged)
            for link in links:
                writer.write(link, round(stamp_s * 1e9), raw)
        for stamp_s, entry in (truth or {}).items():
            told = entry if isinstance(entry, str) else _truth(stamp_s, entry)
            message = _TYPES.types[STRING](told)
            assert text is not None
            writer.write(text, round(stamp_s * 1e9), _TYPES.serialize_cdr(message, STRING))
    return path


def _truth(stamp_s: float, labels: object) -> str:
    return json.dumps({"stamp_ns": round(stamp_s * 1e9), "truth": labels})


def _message(image: np.ndarray, stamp_s: float, compressed: bool, damaged: bool) -> bytes:
    stamp = _TYPES.types["builtin_interfaces/msg/Time"](*divmod(round(stamp_s * 1e9), 10**9))
    header = _TYPES.types["std_msgs/msg/Header"](stamp=stamp, frame_id="cam")
    if compressed:
        data = cv2.imencode(".jpg", image)[1].reshape(-1)
        if damaged:
            data = data[: len(data) // 2]
        message = _TYPES.types[COMPRESSED_IMAGE](header, "jpeg", data)
        return bytes(_TYPES.serialize_cdr(message, COMPRESSED_IMAGE))
    height, width = image.shape[:2]
    encoding = "rgb9" if damaged else "rgb8"
    data = image.reshape(-1)
    message = _TYPES.types[IMAGE](header, height, width, encoding, 0, 3 * width, data)
    return bytes(_TYPES.serialize_cdr(message, IMAGE))


def write_checked_mcap(
    path: Path,
    stamps_s: Sequence[float],
    *,
    profile: str = "ros2",
    definition: str | None = None,
    beside: Callable[[McapWriter], None] = lambda writer: None,
    **options: Any,
) -> Path:
    """One chunk with a checksum, as ROS's own recorder writes it; brightness as ``write_bag``.

    Args:
        path: the file.
        stamps_s: of headers and log.
        profile: of the file.
        definition: of the pictures' schema; the right one unless given.
        beside: writes other channels.
        options: of the writer.
    """
    text = _TYPES.generate_msgdef(IMAGE)[0] if definition is None else definition
    with path.open("wb") as stream:
        writer = McapWriter(stream, **{"compression": CompressionType.NONE, **options})
        writer.start(profile=profile, library="test")
        beside(writer)
        schema = writer.register_schema(IMAGE, "ros2msg", text.encode())
        channel = writer.register_channel(CAMERA, "cdr", schema)
        for number, stamp_s in enumerate(stamps_s):
            raw = _message(picture(10 * (number % 25)), stamp_s, False, False)
            stamp_ns = round(stamp_s * 1e9)
            writer.add_message(channel, stamp_ns, raw, stamp_ns)
        writer.finish()
    return path


def write_ros1_bag(path: Path, stamps_s: Sequence[float]) -> Path:
    """A bag of ROS 1; brightness as ``write_bag``."""
    types = get_typestore(Stores.ROS1_NOETIC)
    path.parent.mkdir(exist_ok=True)
    with Ros1Writer(path) as writer:
        link = writer.add_connection(CAMERA, IMAGE, typestore=types)
        for number, stamp_s in enumerate(stamps_s):
            writer.write(link, round(stamp_s * 1e9), ros1_message(number, stamp_s))
    return path


def ros1_message(number: int, stamp_s: float) -> bytes:
    """Picture ``number`` as ROS 1 serialises it."""
    types = get_typestore(Stores.ROS1_NOETIC)
    stamp = types.types["builtin_interfaces/msg/Time"](*divmod(round(stamp_s * 1e9), 10**9))
    header = types.types["std_msgs/msg/Header"](seq=number, stamp=stamp, frame_id="cam")
    data = picture(10 * (number % 25)).reshape(-1)
    message = types.types[IMAGE](header, _HEIGHT, _WIDTH, "rgb8", 0, 3 * _WIDTH, data)
    return bytes(types.serialize_ros1(message, IMAGE))


def write_video(path: Path, frames: int, *, hz: float = 10.0, codec: str = "MJPG") -> Path:
    """A video whose picture n has a brightness of 10 n."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), hz, (_WIDTH, _HEIGHT))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(picture(10 * number))
    writer.release()
    return path
