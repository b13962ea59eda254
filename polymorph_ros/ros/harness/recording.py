"""The images of a bag as they were recorded: serialised, to be published again."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from polymorph_ros.arrays import NS_PER_S
from polymorph_ros.data.bags import COMPRESSED_IMAGE, find_image_topic, open_bag
from polymorph_ros.errors import PolymorphError

# Both image types begin with std_msgs/Header, and that with its stamp: 4 bytes of encapsulation
# (the second says the byte order), then seconds (int32) and nanoseconds (uint32).
_STAMP_AT = 4


@dataclass(frozen=True)
class Recording:
    """One image topic of a bag.

    Attributes:
        path: the bag's folder or file.
        topic: the image topic.
        compressed: whether it carries ``CompressedImage`` instead of ``Image``.
        count: its messages.
        title: what it shows, for people; synthetic pictures say that they are.
    """

    path: Path
    topic: str
    compressed: bool
    count: int
    title: str

    def messages(self) -> Iterator[bytes]:
        """The topic's messages in the order of recording, as CDR.

        Raises:
            PolymorphError: the bag is not one of ROS 2.
        """
        for stored in open_bag(self.path).messages(self.topic):
            if stored.ros1:
                raise PolymorphError(
                    "a ROS 2 bag", "a ROS 1 bag", where=str(self.path),
                    remedy="convert it: rosbags-convert --src BAG --dst FOLDER",
                )  # fmt: skip
            yield stored.data


def open_recording(path: Path, topic: str | None = None, title: str = "") -> Recording:
    """The image topic of a bag, which need not be named where there is only one.

    Raises:
        PolymorphError: no readable bag, no such image topic, or several to choose from.
    """
    found = find_image_topic(path, topic)
    return Recording(
        path, found.name, found.type == COMPRESSED_IMAGE, found.count, title or path.name
    )


def stamp_of(message: bytes) -> int:
    """The stamp of a serialised image message, nanoseconds."""
    sec, nanosec = struct.unpack_from(_stamp_format(message), message, _STAMP_AT)
    return int(sec) * NS_PER_S + int(nanosec)


def restamped(message: bytes, stamp_ns: int) -> bytes:
    """The same message with another stamp."""
    changed = bytearray(message)
    struct.pack_into(_stamp_format(message), changed, _STAMP_AT, *divmod(stamp_ns, NS_PER_S))
    return bytes(changed)


def _stamp_format(message: bytes) -> str:
    return "<iI" if message[1] & 1 else ">iI"
