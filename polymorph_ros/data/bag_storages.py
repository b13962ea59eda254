"""The messages of one storage file, as they were recorded: MCAP, SQLite, or a ROS 1 bag.

Containers are read by mcap, sqlite3 and rosbags. Message definitions in them are not used: pictures
and text have had one definition since ROS 2 began, and rosbags includes it. So a definition may be
missing, and those of other topics need not be readable.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, Protocol

import zstandard
from mcap.reader import SeekingReader
from mcap.records import Channel, Schema
from rosbags.rosbag1 import Reader as Ros1Reader
from rosbags.typesys import Stores, get_typestore

from polymorph_ros.arrays import NS_PER_S
from polymorph_ros.data.bag_files import ZSTD_MAGIC, unpacked
from polymorph_ros.errors import PolymorphError

_ROS2_TYPES = get_typestore(Stores.ROS2_HUMBLE)
_ROS1_TYPES = get_typestore(Stores.ROS1_NOETIC)
# Pictures begin with std_msgs/Header. ROS 2: four bytes of encapsulation (the second says the byte
# order), then its stamp; ROS 1: four bytes of a sequence number, then its stamp.
_STAMP_AT = 4
# of SQLite; text that is none, and rows of other types than the table says, come out of damage too
_DAMAGE = (sqlite3.Error, TypeError, ValueError, OverflowError)
_LAST_NS = 2**62  # later times come from damage alone, and would not fit into 64 bits
_HEAD_BYTES = _STAMP_AT + 8


@dataclass(frozen=True)
class StoredTopic:
    """A topic of one file.

    Attributes:
        type: as ROS 2 writes it: ``sensor_msgs/msg/Image``.
        count: of its messages.
        encoding: "cdr", "ros1", or another that cannot be read here.
    """

    type: str
    count: int
    encoding: str = "cdr"


@dataclass(frozen=True)
class StoredMessage:
    """A serialised message.

    Attributes:
        type: as ROS 2 writes it.
        log_ns: when it was recorded, nanoseconds.
        data: its bytes.
        ros1: whether ROS 1 serialised it.
    """

    type: str
    log_ns: int
    data: bytes
    ros1: bool = False

    @property
    def stamp_ns(self) -> int:
        """The stamp of its header, nanoseconds; 0 where it is too short to have one."""
        if len(self.data) < _HEAD_BYTES:
            return 0
        little = self.ros1 or self.data[1] & 1
        sec, nanosec = struct.unpack_from("<iI" if little else ">iI", self.data, _STAMP_AT)
        return int(sec) * NS_PER_S + int(nanosec)

    def read(self) -> Any:
        """The message.

        Raises:
            PolymorphError: its bytes are damaged.
        """
        try:
            if self.ros1:
                return _ROS1_TYPES.deserialize_ros1(self.data, self.type)
            return _ROS2_TYPES.deserialize_cdr(self.data, self.type)
        except Exception as error:  # what decoders raise of damaged bytes is of any kind
            found = f"{len(self.data)} damaged bytes ({type(error).__name__})"
            raise PolymorphError(f"a whole {self.type}", found) from None


class Storage(Protocol):
    """One file of a recording."""

    @property
    def path(self) -> Path:
        """The file."""
        ...

    def topics(self) -> dict[str, StoredTopic]:
        """Its topics by name.

        Raises:
            PolymorphError: it cannot be read.
        """
        ...

    def messages(self, topic: str) -> Iterator[StoredMessage]:
        """The messages of a topic in the order of recording; none of a topic it does not have.

        Raises:
            PolymorphError: it cannot be read on.
        """
        ...


@dataclass(frozen=True)
class McapStorage:
    """An MCAP file with an index, of any profile, with channels of any kind."""

    path: Path

    def topics(self) -> dict[str, StoredTopic]:
        """Its topics by name, out of the file's index.

        Raises:
            PolymorphError: it has no index, so that it has to be read from its beginning.
        """
        found: dict[str, StoredTopic] = {}
        try:
            with unpacked(self.path).open("rb") as stream:
                summary = SeekingReader(stream).get_summary()
            if summary is None or summary.statistics is None or not summary.chunk_indexes:
                raise _broken(self.path, "no index")
            counts = summary.statistics.channel_message_counts
            for channel in summary.channels.values():
                kind, encoding = channel_type(channel, summary.schemas.get(channel.schema_id))
                before = found[channel.topic].count if channel.topic in found else 0
                count = before + counts.get(channel.id, 0)
                found[channel.topic] = StoredTopic(kind, count, encoding)
        except Exception as error:  # of a damaged index, anything
            raise _broken(self.path, error) from None
        if sum(topic.count for topic in found.values()) < summary.statistics.message_count:
            raise _broken(self.path, "an index without all channels")
        return found

    def messages(self, topic: str) -> Iterator[StoredMessage]:
        """The messages of a topic by log time; chunks without it are passed over."""
        try:
            with unpacked(self.path).open("rb") as stream:
                reader = SeekingReader(stream, validate_crcs=True)
                for schema, channel, message in reader.iter_messages([topic]):
                    kind, encoding = channel_type(channel, schema)
                    yield stored(kind, message.log_time, message.data, encoding)
        except Exception as error:  # of the reader or any decompressor
            raise _broken(self.path, error) from None


def channel_type(channel: Channel, schema: Schema | None) -> tuple[str, str]:
    """The ROS 2 name of a channel's type, and its encoding as ``StoredTopic`` has it."""
    name = schema.name if schema else ""
    kind = name.replace("/", "/msg/") if name.count("/") == 1 else name
    if channel.message_encoding:
        return kind, channel.message_encoding
    return kind, "ros1" if schema and schema.encoding == "ros1msg" else "cdr"


def stored(kind: str, log_ns: int, data: bytes, encoding: str = "cdr") -> StoredMessage:
    """A message as it was serialised: rosbag2 may have compressed each by itself."""
    if data[:4] == ZSTD_MAGIC:
        try:
            data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
        except zstandard.ZstdError:
            data = b""  # damaged, as reading it will say
    return StoredMessage(kind, min(max(log_ns, 0), _LAST_NS), data, encoding == "ros1")


def _broken(path: Path, found: object) -> PolymorphError:
    return PolymorphError(
        "a whole MCAP file",
        _line(found),
        where=str(path),
        remedy="if the recording broke off, mend it with 'mcap recover'",
    )


def _line(found: object) -> str:
    """An error of a library, in one line."""
    if isinstance(found, PolymorphError):
        return found.found
    return " ".join(str(found).split()).rstrip(".") or type(found).__name__


@dataclass(frozen=True)
class SqliteStorage:
    """An SQLite file with rosbag2's tables ``topics`` and ``messages``."""

    path: Path

    def topics(self) -> dict[str, StoredTopic]:
        """Its topics by name, all messages counted."""
        found: dict[str, StoredTopic] = {}
        try:
            with self._opened() as base:
                counts = dict(base.execute("SELECT topic_id, count(*) FROM messages GROUP BY 1"))
                topics = "SELECT id, name, type, serialization_format FROM topics"
                for key, name, kind, encoding in base.execute(topics):
                    count = int(counts.get(key, 0))
                    if str(name) in found:
                        count += found[str(name)].count
                    found[str(name)] = StoredTopic(str(kind), count, str(encoding))
        except _DAMAGE as error:
            raise self._refused(error) from None
        return found

    def messages(self, topic: str) -> Iterator[StoredMessage]:
        """The messages of a topic by log time."""
        # times are sorted without the pictures, which may be larger than the memory
        query = (
            "SELECT messages.id, timestamp, type FROM messages JOIN topics "
            "ON topic_id = topics.id WHERE name = ? ORDER BY timestamp, messages.id"
        )
        content = "SELECT data FROM messages WHERE id = ?"
        try:
            with self._opened() as base:
                for key, log_ns, kind in base.execute(query, (topic,)):
                    (data,) = base.execute(content, (key,)).fetchone()
                    whole = isinstance(data, bytes) and isinstance(log_ns, int)
                    yield stored(str(kind), *((log_ns, data) if whole else (0, b"")))
        except _DAMAGE as error:
            raise self._refused(error) from None

    def _opened(self) -> closing[sqlite3.Connection]:
        # immutable: another's lock does not matter, and nothing is written beside the file
        uri = f"{unpacked(self.path).resolve().as_uri()}?mode=ro&immutable=1"
        return closing(sqlite3.connect(uri, uri=True))

    def _refused(self, error: Exception) -> PolymorphError:
        return PolymorphError(
            "a whole SQLite recording",
            _line(error),
            where=str(self.path),
            remedy=f"recover what is whole: sqlite3 {quote(str(self.path))} .recover | "
            "sqlite3 recovered.db3 "
            "(where .recover fails, as in Debian 12: .dump | sed 's/^ROLLBACK.*/COMMIT;/')",
        )


@dataclass(frozen=True)
class Ros1Storage:
    """A bag of ROS 1, read by rosbags."""

    path: Path

    def topics(self) -> dict[str, StoredTopic]:
        """Its topics by name."""
        try:
            with Ros1Reader(unpacked(self.path)) as reader:
                return {
                    name: StoredTopic(str(info.msgtype), info.msgcount, "ros1")
                    for name, info in reader.topics.items()
                }
        except Exception as error:  # of the reader or any decompressor
            raise self._refused(error) from None

    def messages(self, topic: str) -> Iterator[StoredMessage]:
        """The messages of a topic by log time."""
        try:
            with Ros1Reader(unpacked(self.path)) as reader:
                links = [link for link in reader.connections if link.topic == topic]
                # without any connection the reader would give the messages of all of them
                for link, log_ns, data in reader.messages(links) if links else ():
                    yield StoredMessage(str(link.msgtype), log_ns, bytes(data), ros1=True)
        except Exception as error:  # of the reader or any decompressor
            raise self._refused(error) from None

    def _refused(self, error: Exception) -> PolymorphError:
        return PolymorphError(
            "a whole ROS 1 bag",
            _line(error),
            where=str(self.path),
            remedy="if the recording broke off, mend it with 'rosbag reindex'",
        )
