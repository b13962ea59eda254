"""The stamps of a topic's messages without reading the messages: their first bytes are enough.

For those who look into a recording before they read it. Nothing is checked: what is damaged shows
when it is read.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO

import numpy as np
from mcap.data_stream import ReadDataStream
from mcap.reader import SeekingReader
from mcap.records import Chunk, ChunkIndex
from mcap.stream_reader import get_chunk_data_stream

from polymorph_ros.arrays import Indices
from polymorph_ros.data.bag_files import ZSTD_MAGIC, unpacked
from polymorph_ros.data.bag_storages import McapStorage, Storage, StoredMessage, channel_type

_HEAD = 9  # of an MCAP record: what it is, and how long
_BEFORE_DATA = 22  # of a message: channel, sequence, log time, publish time
_BEFORE_RECORDS = 40  # of a chunk without compression: times, sizes, checksum, an empty name
_STAMP_BYTES = 12  # of a serialised message with a header


def quick_stamps(storage: Storage, topic: str) -> Indices | None:
    """Header and log times of a topic's messages in the order of recording.

    Returns:
        int64 (messages, 2), nanoseconds; None where the file has no such shortcut.
    """
    if not isinstance(storage, McapStorage):
        return None
    with closing(unpacked(storage.path).open("rb")) as stream:
        try:
            rows = list(_mcap_stamps(stream, topic))
        except Exception:  # of a damaged index, anything: reading it whole says what is wrong
            return None
    stamps = np.array(rows, np.int64).reshape(-1, 2)
    return stamps[np.argsort(stamps[:, 1], kind="stable")]


def _mcap_stamps(stream: BinaryIO, topic: str) -> Iterator[tuple[int, int]]:
    summary = SeekingReader(stream).get_summary()
    assert summary is not None
    channels = {
        number: channel_type(channel, summary.schemas.get(channel.schema_id))
        for number, channel in summary.channels.items()
        if channel.topic == topic
    }
    for chunk in sorted(summary.chunk_indexes, key=lambda one: one.chunk_start_offset):
        own = [number for number in channels if number in chunk.message_index_offsets]
        if not chunk.message_index_offsets:
            raise ValueError("a chunk without an index")
        places = sorted(
            (offset, log_ns, number)
            for number in own
            for log_ns, offset in _message_index(stream, chunk.message_index_offsets[number])
        )
        heads = _heads(stream, chunk, [offset for offset, _, _ in places])
        for head, (_, log_ns, number) in zip(heads, places, strict=True):
            if head[:4] == ZSTD_MAGIC:
                raise ValueError("messages that are compressed one by one")
            kind, encoding = channels[number]
            message = StoredMessage(kind, log_ns, head, encoding == "ros1")
            yield message.stamp_ns, log_ns


def _message_index(stream: BinaryIO, offset: int) -> list[tuple[int, int]]:
    """Log time and place in its chunk of each message of a channel."""
    stream.seek(offset + _HEAD + 2)
    (size,) = struct.unpack("<I", stream.read(4))
    pairs = np.frombuffer(stream.read(size), "<u8").reshape(-1, 2)
    return [(log_ns, place) for log_ns, place in pairs.tolist()]


def _heads(stream: BinaryIO, chunk: ChunkIndex, offsets: list[int]) -> Iterator[bytes]:
    """The first bytes of each message's data; without compression only these are read."""
    skip = _HEAD + _BEFORE_DATA
    if not offsets:
        return
    if chunk.compression:
        stream.seek(chunk.chunk_start_offset + _HEAD)
        records, size = get_chunk_data_stream(Chunk.read(ReadDataStream(stream)))
        content = records.read(size)
        for offset in offsets:
            yield content[offset + skip : offset + skip + _STAMP_BYTES]
    else:
        begin = chunk.chunk_start_offset + _HEAD + _BEFORE_RECORDS
        for offset in offsets:
            yield os.pread(stream.fileno(), _STAMP_BYTES, begin + offset + skip)
