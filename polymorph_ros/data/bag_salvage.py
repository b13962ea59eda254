"""What is whole in a rosbag2 recording that broke off: killed, out of disk, or copied in part.

Such a file lacks its index, or pages that its index points to, so the library that reads whole ones
refuses it. Here its messages are read one after the other from its beginning, as far as they go.
"""

from __future__ import annotations

import mmap
import re
import sqlite3
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import yaml
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, McapRecord, Message, Schema
from mcap.stream_reader import StreamReader, breakup_chunk
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore

from polymorph_ros.data.bags import COMPRESSED_IMAGE, IMAGE, STRING, ImageTopic
from polymorph_ros.data.sqlite_pages import SqlitePages

STORAGES = (".mcap", ".db3")

_MAGIC_BYTES = 8
_HEAD = struct.Struct("<BQ")  # of an MCAP record: what it is, and how long

_TYPES = get_typestore(Stores.ROS2_HUMBLE)
_KNOWN_TYPES = (IMAGE, COMPRESSED_IMAGE, STRING)
# What decoders raise at the place where a file breaks off.
_BREAKS = (McapError, struct.error, RuntimeError, ValueError, EOFError, LookupError)

_Raw = tuple[str, str, bytes]  # topic, type, serialised message


def salvage_messages(path: Path, topic: str) -> Iterator[Any]:
    """The whole messages with pictures or text of a topic, in the order of recording.

    Args:
        path: a bag's folder, with metadata.yaml or without, or an .mcap or .db3 file.
        topic: as recorded.
    """
    for name, kind, raw in _raw_messages(path):
        if name == topic and kind in _KNOWN_TYPES:
            message = _deserialised(raw, kind)
            if message is not None:
                yield message


def salvage_image_topics(path: Path) -> tuple[ImageTopic, ...]:
    """The topics with pictures and how many messages of each are whole, by name."""
    counts: Counter[tuple[str, str]] = Counter()
    for name, kind, raw in _raw_messages(path):
        if kind in (IMAGE, COMPRESSED_IMAGE) and _deserialised(raw, kind) is not None:
            counts[name, kind] += 1
    return tuple(ImageTopic(name, kind, count) for (name, kind), count in sorted(counts.items()))


def recorded_count(path: Path, topic: str) -> int | None:
    """How many messages of a topic were recorded, if the bag's metadata.yaml tells it."""
    try:
        text = (path / "metadata.yaml").read_text()
        information = yaml.safe_load(text)["rosbag2_bagfile_information"]
        topics = information["topics_with_message_count"]
        counts = {entry["topic_metadata"]["name"]: entry["message_count"] for entry in topics}
        return int(counts[topic])
    except (OSError, yaml.YAMLError, LookupError, TypeError, ValueError):
        return None


def _raw_messages(path: Path) -> Iterator[_Raw]:
    for file in _storage_files(path):
        try:
            yield from _mcap_messages(file) if file.suffix == ".mcap" else _sqlite_messages(file)
        except OSError:
            continue  # an unreadable file of a split recording


def _storage_files(path: Path) -> list[Path]:
    """The files of a bag in the order of recording: split ones are numbered at their end."""
    if not path.is_dir():
        return [path]
    files = [file for file in path.iterdir() if file.suffix in STORAGES]
    numbers = {file: re.search(r"(\d+)$", file.stem) for file in files}
    return sorted(files, key=lambda file: (int(m[0]) if (m := numbers[file]) else -1, file.name))


def _mcap_messages(file: Path) -> Iterator[_Raw]:
    types: dict[int, str] = {}
    channels: dict[int, tuple[str, str]] = {}
    for record in _mcap_records(file):
        if isinstance(record, Schema):
            types[record.id] = record.name
        elif isinstance(record, Channel):
            channels[record.id] = (record.topic, types.get(record.schema_id, ""))
        elif isinstance(record, Message) and record.channel_id in channels:
            yield (*channels[record.channel_id], record.data)


def _mcap_records(file: Path) -> Iterator[McapRecord]:
    """Schemas, channels and messages until the file breaks off; a damaged chunk is left out."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        stream.seek(_MAGIC_BYTES)
        while len(head := stream.read(_HEAD.size)) == _HEAD.size:
            opcode, length = _HEAD.unpack(head)
            content = stream.read(min(length, size - stream.tell()))
            if opcode == Opcode.CHUNK:
                yield from _chunk_records(content)
            elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE):
                yield from _records(head + content)


def _chunk_records(content: bytes) -> Iterator[McapRecord]:
    try:
        chunk = Chunk.read(ReadDataStream(BytesIO(content)))
        # without compression, its beginning can be used even if its end is missing
        whole = breakup_chunk(chunk, validate_crc=True) if chunk.compression else None
    except Exception:  # of any decompressor
        return
    yield from _records(chunk.data) if whole is None else whole


def _records(data: bytes) -> Iterator[McapRecord]:
    try:
        yield from StreamReader(BytesIO(data), skip_magic=True).records
    except _BREAKS:
        return


def _sqlite_messages(file: Path) -> Iterator[_Raw]:
    try:
        topics = _sqlite_topics(file)
        with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as data:
            for key, raw in SqlitePages(data).rows():
                if key in topics:
                    yield (*topics[key], raw)
    except (sqlite3.Error, *_BREAKS):
        return


def _sqlite_topics(file: Path) -> dict[int, tuple[str, str]]:
    """Topic and type by key; this table lies at the beginning of the file."""
    uri = f"{file.resolve().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as base:
        # else a file that is shorter than its header says is refused as a whole
        base.execute("PRAGMA writable_schema = ON")
        rows = base.execute("SELECT id, name, type FROM topics")
        return {key: (name, kind) for key, name, kind in rows}


def _deserialised(raw: bytes, kind: str) -> Any:
    try:
        return _TYPES.deserialize_cdr(raw, kind)
    except (SerdeError, *_BREAKS):
        return None
