"""Write synthetic scenes as a rosbag2 recording with their truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from polymorph_ros.arrays import NS_PER_S
from polymorph_ros.data.bags import COMPRESSED_IMAGE, IMAGE, STRING, TRUTH_TOPIC
from polymorph_ros.data.synthetic import SyntheticFrame, SyntheticSequence
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import new_folder

DEFAULT_TOPIC = "/camera/image_raw"
START_NS = 1_000_000_000  # a stamp of zero means "not set" in ROS

# Version of metadata.yaml: 9 writes QoS in a way that ROS 2 Humble cannot read.
_BAG_VERSION: Literal[8] = 8
_TYPES = get_typestore(Stores.ROS2_HUMBLE)


def write_synthetic_bag(
    path: Path | str,
    sequence: SyntheticSequence,
    *,
    topic: str = DEFAULT_TOPIC,
    jpeg_quality: int | None = None,
    frame_id: str = "camera",
    start_ns: int = START_NS,
) -> int:
    """Write a sequence as an MCAP recording; the folder appears whole or not at all.

    Args:
        path: the folder to make.
        sequence: what to record.
        topic: of ``sensor_msgs/Image`` in rgb8; with ``jpeg_quality``, ``CompressedImage`` on
            ``topic`` plus ``/compressed``.
        jpeg_quality: 1 to 100; None writes raw images.
        frame_id: of every header.
        start_ns: the first frame's stamp.

    Returns:
        How many frames there are. Their truth is on ``TRUTH_TOPIC``, in the format of
        ``polymorph_ros.data.bags``.

    Raises:
        PolymorphError: the folder exists already, or the quality is out of its range.
    """
    path = Path(path)
    if jpeg_quality is not None and not 1 <= jpeg_quality <= 100:
        raise PolymorphError("a JPEG quality from 1 to 100", str(jpeg_quality), where=str(path))
    with new_folder(path) as unfinished:
        unfinished.rmdir()  # rosbags makes it
        return _write(unfinished, sequence, topic, jpeg_quality, frame_id, start_ns)


def _write(
    path: Path,
    sequence: SyntheticSequence,
    topic: str,
    jpeg_quality: int | None,
    frame_id: str,
    start_ns: int,
) -> int:
    image_type, image_topic = IMAGE, topic
    if jpeg_quality is not None:
        image_type, image_topic = COMPRESSED_IMAGE, f"{topic}/compressed"
    count = 0
    with Writer(path, version=_BAG_VERSION, storage_plugin=StoragePlugin.MCAP) as writer:
        images = writer.add_connection(image_topic, image_type, typestore=_TYPES)
        truths = writer.add_connection(TRUTH_TOPIC, STRING, typestore=_TYPES)
        for frame in sequence.frames():
            stamp_ns = start_ns + round(frame.stamp_s * NS_PER_S)
            header = _header(stamp_ns, frame_id)
            if jpeg_quality is None:
                picture = _plain(frame.image, header)
            else:
                picture = _compressed(frame.image, header, jpeg_quality)
            writer.write(images, stamp_ns, _TYPES.serialize_cdr(picture, image_type))
            text = _TYPES.types[STRING](data=_truth_of(frame, stamp_ns, sequence.labels))
            writer.write(truths, stamp_ns, _TYPES.serialize_cdr(text, STRING))
            count += 1
    return count


def _header(stamp_ns: int, frame_id: str) -> Any:
    stamp = _TYPES.types["builtin_interfaces/msg/Time"](
        sec=stamp_ns // NS_PER_S, nanosec=stamp_ns % NS_PER_S
    )
    return _TYPES.types["std_msgs/msg/Header"](stamp=stamp, frame_id=frame_id)


def _plain(image: NDArray[np.uint8], header: Any) -> Any:
    height, width = image.shape[:2]
    return _TYPES.types[IMAGE](
        header=header,
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=0,
        step=3 * width,
        data=np.ascontiguousarray(image).reshape(-1),
    )


def _compressed(image: NDArray[np.uint8], header: Any, quality: int) -> Any:
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, data = cv2.imencode(".jpg", image[:, :, ::-1], options)
    return _TYPES.types[COMPRESSED_IMAGE](
        header=header, format="rgb8; jpeg compressed bgr8", data=np.asarray(data, np.uint8)
    )


def _truth_of(frame: SyntheticFrame, stamp_ns: int, labels: tuple[str, ...]) -> str:
    truth = dict(zip(labels, frame.truth.tolist(), strict=True))
    return json.dumps({"stamp_ns": stamp_ns, "place": frame.place, "truth": truth})
