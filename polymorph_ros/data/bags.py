"""Pictures and truth from rosbag2 recordings (MCAP or SQLite3), without ROS.

Truth is a topic of ``std_msgs/String`` beside the pictures, ``TRUTH_TOPIC`` by default. Each
message is a JSON object about the picture with that stamp::

    {"stamp_ns": 1500000000, "place": "kitchen", "truth": {"oven": 1, "mug": -1, "bed": 0}}

``truth`` names every label of the vocabulary: 1 present, 0 absent, -1 unknown. ``place`` is free.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from polymorph_ros.arrays import NS_PER_S
from polymorph_ros.data.frame import Frame
from polymorph_ros.data.pixels import image_of
from polymorph_ros.errors import PolymorphError

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
STRING = "std_msgs/msg/String"
TRUTH_TOPIC = "/truth"


@dataclass(frozen=True)
class ImageTopic:
    """A topic with pictures: its name, ROS type and number of messages."""

    name: str
    type: str
    count: int


def image_topics(path: Path) -> tuple[ImageTopic, ...]:
    """The topics with pictures of a bag (its folder, or an .mcap or .db3 file), by name.

    Raises:
        PolymorphError: there is no readable bag.
    """
    with _opened(path) as reader:
        return tuple(
            ImageTopic(name, str(info.msgtype), info.msgcount)
            for name, info in sorted(reader.topics.items())
            if info.msgtype in (IMAGE, COMPRESSED_IMAGE)
        )


def find_image_topic(path: Path, topic: str | None = None) -> ImageTopic:
    """The image topic of that name, or the only one if none is named.

    Raises:
        PolymorphError: there is no readable bag, no such topic, or more than one to choose from;
            the message names the image topics that there are.
    """
    return choose_image_topic(image_topics(path), topic, path)


def choose_image_topic(found: tuple[ImageTopic, ...], topic: str | None, path: Path) -> ImageTopic:
    """The topic of that name among those of a bag, or the only one if none is named.

    Raises:
        PolymorphError: as ``find_image_topic``.
    """
    chosen = [one for one in found if topic in (None, one.name)]
    if len(chosen) == 1:
        return chosen[0]
    raise PolymorphError(
        f"the image topic {topic}" if topic else "one image topic",
        ", ".join(one.name for one in found) or "none",
        where=str(path),
        remedy="name one of these topics" if found else "record a topic with images",
    )


def read_bag_frames(path: Path | str, topic: str | None = None) -> Iterator[Frame]:
    """The pictures of a bag in the order of recording.

    Stamps are those of the messages' headers. ``Frame.camera`` is the topic. A picture without
    compression is a view of the message where its encoding allows, see ``image_from_buffer``.

    Args:
        path: the bag's folder, or an .mcap or .db3 file.
        topic: of type ``sensor_msgs/Image`` or ``CompressedImage``; needed where there are several.

    Raises:
        ImageError: a picture is malformed.
        PolymorphError: as ``find_image_topic``, or the bag breaks off.
    """
    path = Path(path)
    chosen = find_image_topic(path, topic)
    for message in messages(path, chosen.name):
        yield Frame(
            image=image_of(message),
            stamp_ns=stamp_ns_of(message),
            camera=chosen.name,
            frame_id=str(message.header.frame_id),
        )


def stamp_ns_of(message: Any) -> int:
    """The stamp of a message's header in nanoseconds."""
    return int(message.header.stamp.sec) * NS_PER_S + int(message.header.stamp.nanosec)


def read_bag_truth(path: Path | str, topic: str = TRUTH_TOPIC) -> dict[int, dict[str, int]]:
    """The truth of a bag: stamp in nanoseconds -> label -> 1 present, 0 absent, -1 unknown.

    Empty where the bag has no such topic.

    Raises:
        PolymorphError: there is no readable bag, or a message is not of the truth's format.
    """
    path = Path(path)
    return dict(truth_of(message, f"{path}, topic {topic}") for message in messages(path, topic))


def truth_of(message: Any, where: str) -> tuple[int, dict[str, int]]:
    """Stamp in nanoseconds and labels of one message of a truth topic.

    Raises:
        PolymorphError: it is not of the truth's format; ``where`` says where it is.
    """
    try:
        entry = json.loads(message.data)
        values = {str(label): int(value) for label, value in entry["truth"].items()}
        stamp_ns = int(entry["stamp_ns"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _bad_truth(where, repr(error)) from error
    if not set(values.values()) <= {-1, 0, 1}:
        raise _bad_truth(where, "a value other than 1, 0 and -1")
    if not all(label.strip() for label in values):
        raise _bad_truth(where, "a label without a name")
    return stamp_ns, values


def _bad_truth(where: str, found: str) -> PolymorphError:
    return PolymorphError('JSON like {"stamp_ns": 0, "truth": {"mug": 1}}', found, where=where)


def messages(path: Path, topic: str) -> Iterator[Any]:
    """The deserialised messages of one topic in the order of recording; none if the bag lacks it.

    Raises:
        PolymorphError: there is no readable bag, or it cannot be read on.
    """
    with _opened(path) as reader:
        links = [link for link in reader.connections if link.topic == topic]
        # without any connection the reader would give the messages of all of them
        if not links:
            return
        for link, _, raw in reader.messages(connections=links):
            yield reader.deserialize(raw, link.msgtype)


@contextmanager
def _opened(path: Path) -> Iterator[AnyReader]:
    if not path.exists():
        raise PolymorphError("a rosbag2 folder, .mcap or .db3 file", "nothing", where=str(path))
    try:
        # older SQLite bags carry no message definitions; those of images never changed
        with AnyReader([path], default_typestore=get_typestore(Stores.ROS2_HUMBLE)) as reader:
            yield reader
    except Exception as error:  # of the reader, SQLite or any decompressor
        raise PolymorphError(
            "a rosbag2 folder, .mcap or .db3 file",
            " ".join(str(error).split()).rstrip(".") or type(error).__name__,
            where=str(path),
            remedy="if the recording broke off, mend it with 'ros2 bag reindex' or 'mcap recover'",
        ) from error
