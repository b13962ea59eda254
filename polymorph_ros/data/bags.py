"""Pictures and truth from recordings, without ROS: rosbag2 (MCAP or SQLite3), and bags of ROS 1.

Truth is a topic of ``std_msgs/String`` beside the pictures, ``TRUTH_TOPIC`` by default. Each
message is a JSON object about the picture with that stamp::

    {"stamp_ns": 1500000000, "place": "kitchen", "truth": {"oven": 1, "mug": -1, "bed": 0}}

``truth`` names every label of the vocabulary: 1 present, 0 absent, -1 unknown. ``place`` is free.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np

from polymorph_ros.arrays import Indices
from polymorph_ros.data.bag_files import file_kind, is_bag, storage_files
from polymorph_ros.data.bag_salvage import SalvagedMcap
from polymorph_ros.data.bag_storages import (
    McapStorage,
    Ros1Storage,
    SqliteStorage,
    Storage,
    StoredMessage,
    StoredTopic,
)
from polymorph_ros.data.clock import Clock, decide_clock
from polymorph_ros.data.frame import Frame
from polymorph_ros.data.pixels import image_of
from polymorph_ros.data.quick_stamps import quick_stamps
from polymorph_ros.errors import PolymorphError

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
STRING = "std_msgs/msg/String"
TRUTH_TOPIC = "/truth"

_READERS: dict[str, Callable[[Path], Storage]] = {
    ".mcap": McapStorage,
    ".db3": SqliteStorage,
    ".bag": Ros1Storage,
}
_KIND = "a rosbag2 folder, .mcap or .db3 file, or a .bag of ROS 1"


@dataclass(frozen=True)
class ImageTopic:
    """A topic with pictures: its name, ROS type and number of messages."""

    name: str
    type: str
    count: int


@dataclass(frozen=True)
class Bag:
    """A recording: its files in their order, and what is in each."""

    path: Path
    storages: tuple[Storage, ...]
    topics: tuple[dict[str, StoredTopic], ...] = field(repr=False)

    def image_topics(self) -> tuple[ImageTopic, ...]:
        """The topics with pictures that can be read, by name."""
        found: dict[str, ImageTopic] = {}
        for name, topic in self._all_topics():
            if topic.type in (IMAGE, COMPRESSED_IMAGE) and topic.encoding in ("cdr", "ros1"):
                before = found[name].count if name in found else 0
                found[name] = ImageTopic(name, topic.type, before + topic.count)
        return tuple(found[name] for name in sorted(found))

    def choose_topic(self, name: str | None) -> ImageTopic:
        """The image topic of that name, or the only one if none is named.

        Raises:
            PolymorphError: no such topic, or more than one to choose from.
        """
        images = self.image_topics()
        chosen = [one for one in images if name in (None, one.name)]
        if len(chosen) == 1:
            return chosen[0]
        others = {
            f"{other} ({topic.type or 'no type'}, {topic.encoding})"
            for other, topic in self._all_topics()
        }
        found = ", ".join(one.name for one in images)
        if not images:
            found = f"none among {', '.join(sorted(others))}" if others else "none"
        raise PolymorphError(
            f"the image topic {name}" if name else "one image topic",
            found,
            where=str(self.path),
            remedy="name one of these topics" if images else "record a topic with images",
        )

    def messages(self, topic: str) -> Iterator[StoredMessage]:
        """The messages of a topic in the order of recording; none if the recording lacks it.

        Raises:
            PolymorphError: it cannot be read on.
        """
        return chain.from_iterable(storage.messages(topic) for storage in self.storages)

    def _all_topics(self) -> Iterator[tuple[str, StoredTopic]]:
        return chain.from_iterable(topics.items() for topics in self.topics)


def open_bag(path: Path, *, salvage: bool = False) -> Bag:
    """A recording: its folder, or a storage file; compressed as a whole or not.

    Args:
        path: of the recording.
        salvage: whether an MCAP file that broke off is taken too, for what is whole in it.

    Raises:
        PolymorphError: there is none, or it cannot be read.
    """
    if not path.exists():
        raise PolymorphError(_KIND, "nothing", where=str(path))
    if not is_bag(path) or not (files := storage_files(path)):
        raise PolymorphError(_KIND, "no storage file", where=str(path))
    opened = [_open_storage(file, salvage) for file in files]
    return Bag(path, tuple(one for one, _ in opened), tuple(topics for _, topics in opened))


def _open_storage(file: Path, salvage: bool) -> tuple[Storage, dict[str, StoredTopic]]:
    """The reader of a file, and its topics."""
    kind = file_kind(file)
    storage = _READERS[kind](file)
    try:
        return storage, storage.topics()
    except PolymorphError:
        salvaged = SalvagedMcap(file)
        if kind != ".mcap" or not (salvage or salvaged.has_end()):
            raise
        topics = salvaged.topics()
        if not topics:
            raise
        return salvaged, topics


def read_clock(bag: Bag, topic: str, *, quick: bool = False) -> Clock:
    """The time of each picture of a topic: one pass over its messages, none is decoded.

    Args:
        bag: the recording.
        topic: of its pictures.
        quick: whether to read stamps alone where a file allows that: damage is not found then.

    Raises:
        PolymorphError: it cannot be read on.
    """
    parts = [_stamps(storage, topic, quick) for storage in bag.storages]
    stamps = np.concatenate(parts) if parts else np.empty((0, 2), np.int64)
    return decide_clock(stamps[:, 0], stamps[:, 1])


def _stamps(storage: Storage, topic: str, quick: bool) -> Indices:
    """Header and log times, int64 (messages, 2)."""
    found = quick_stamps(storage, topic) if quick else None
    if found is None:
        pairs = [(stored.stamp_ns, stored.log_ns) for stored in storage.messages(topic)]
        found = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return found


def image_topics(path: Path) -> tuple[ImageTopic, ...]:
    """The topics with pictures of a recording, by name.

    Raises:
        PolymorphError: as ``open_bag``.
    """
    return open_bag(path).image_topics()


def find_image_topic(path: Path, topic: str | None = None) -> ImageTopic:
    """The image topic of that name, or the only one if none is named.

    Raises:
        PolymorphError: there is no readable bag, no such topic, or more than one to choose from;
            the message names the image topics that there are.
    """
    return open_bag(path).choose_topic(topic)


def read_bag_frames(path: Path | str, topic: str | None = None) -> Iterator[Frame]:
    """The pictures of a bag by ascending stamp.

    Stamps are those of the messages' headers, or what ``polymorph_ros.data.clock`` says where
    those are not sane. ``Frame.camera`` is the topic. A picture without compression is a view of
    the message where its encoding allows, see ``image_from_buffer``.

    Args:
        path: the bag's folder, or an .mcap or .db3 file.
        topic: of type ``sensor_msgs/Image`` or ``CompressedImage``; needed where there are several.

    Raises:
        ImageError: a picture is malformed.
        PolymorphError: as ``find_image_topic``, or the bag breaks off.
    """
    bag = open_bag(Path(path))
    chosen = bag.choose_topic(topic)
    clock = read_clock(bag, chosen.name)
    for time_ns, stored in clock.arrange(bag.messages(chosen.name)):
        message = stored.read()
        yield Frame(
            image=image_of(message),
            stamp_ns=time_ns,
            camera=chosen.name,
            frame_id=str(message.header.frame_id),
        )


def read_bag_truth(path: Path | str, topic: str = TRUTH_TOPIC) -> dict[int, dict[str, int]]:
    """The truth of a bag: stamp in nanoseconds -> label -> 1 present, 0 absent, -1 unknown.

    Empty where the bag has no such topic.

    Raises:
        PolymorphError: there is no readable bag, or a message is not of the truth's format.
    """
    where = f"{path}, topic {topic}"
    return dict(truth_of(one, where) for one in open_bag(Path(path)).messages(topic))


def truth_of(stored: StoredMessage, where: str) -> tuple[int, dict[str, int]]:
    """Stamp in nanoseconds and labels of one message of a truth topic.

    Where its picture had no stamp (zero), it is that of the message in the log.

    Raises:
        PolymorphError: it is not of the truth's format; ``where`` says where it is.
    """
    if stored.type != STRING:
        raise _bad_truth(where, f"a message of type {stored.type}")
    try:
        entry = json.loads(stored.read().data)
        values = {str(label): int(value) for label, value in entry["truth"].items()}
        stamp_ns = int(entry["stamp_ns"]) or stored.log_ns
    except PolymorphError as error:
        raise _bad_truth(where, error.found) from None
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise _bad_truth(where, repr(error)) from error
    if not set(values.values()) <= {-1, 0, 1}:
        raise _bad_truth(where, "a value other than 1, 0 and -1")
    if not all(label.strip() for label in values):
        raise _bad_truth(where, "a label without a name")
    if not 0 <= stamp_ns < 2**63:
        raise _bad_truth(where, f"the stamp {stamp_ns}")
    return stamp_ns, values


def _bad_truth(where: str, found: str) -> PolymorphError:
    return PolymorphError('JSON like {"stamp_ns": 0, "truth": {"mug": 1}}', found, where=where)
