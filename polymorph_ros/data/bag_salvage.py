"""What is whole in an MCAP file that broke off: killed, out of disk, or copied in part.

Such a file lacks its index, and mcap's readers stop at the first damaged chunk. Here its records
are read one after the other from its beginning: damaged chunks are left out.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, McapRecord, Message, Schema
from mcap.stream_reader import StreamReader, breakup_chunk

from polymorph_ros.data.bag_files import unpacked
from polymorph_ros.data.bag_storages import StoredMessage, StoredTopic, channel_type, stored

_MAGIC = b"\x89MCAP0\r\n"
_HEAD = struct.Struct("<BQ")  # of a record: what it is, and how long


@dataclass(frozen=True)
class SalvagedMcap:
    """An MCAP file without an index, or with damage."""

    path: Path

    def topics(self) -> dict[str, StoredTopic]:
        """Its topics by name; their whole messages are counted."""
        counts: Counter[str] = Counter()
        kinds: dict[str, tuple[str, str]] = {}
        for channel, schema, message in self._messages():
            kinds[channel.topic] = channel_type(channel, schema)
            counts[channel.topic] += message is not None
        return {name: StoredTopic(kinds[name][0], counts[name], kinds[name][1]) for name in kinds}

    def messages(self, topic: str) -> Iterator[StoredMessage]:
        """The whole messages of a topic in the order in which they lie in the file."""
        for channel, schema, message in self._messages():
            if channel.topic == topic and message is not None:
                kind, encoding = channel_type(channel, schema)
                yield stored(kind, message.log_time, message.data, encoding)

    def has_end(self) -> bool:
        """Whether the recorder came to its end: then only the index is missing."""
        content = unpacked(self.path)
        with content.open("rb") as stream:
            stream.seek(max(0, content.stat().st_size - len(_MAGIC)))
            return stream.read() == _MAGIC

    def _messages(self) -> Iterator[tuple[Channel, Schema | None, Message | None]]:
        """Each channel once it is known, then each message with its channel."""
        schemas: dict[int, Schema] = {}
        channels: dict[int, Channel] = {}
        for record in self._records():
            if isinstance(record, Schema):
                schemas[record.id] = record
            elif isinstance(record, Channel):
                channels[record.id] = record
                yield record, schemas.get(record.schema_id), None
            elif isinstance(record, Message) and record.channel_id in channels:
                channel = channels[record.channel_id]
                yield channel, schemas.get(channel.schema_id), record

    def _records(self) -> Iterator[McapRecord]:
        """Schemas, channels and messages until the file breaks off."""
        content = unpacked(self.path)
        size = content.stat().st_size
        with content.open("rb") as stream:
            stream.seek(len(_MAGIC))
            while len(head := stream.read(_HEAD.size)) == _HEAD.size:
                opcode, length = _HEAD.unpack(head)
                if opcode in (0, Opcode.DATA_END):
                    return
                if opcode not in (Opcode.CHUNK, Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE):
                    stream.seek(min(length, size), 1)
                    continue
                body = stream.read(min(length, size))
                yield from _chunk_records(body) if opcode == Opcode.CHUNK else _records(head + body)


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
    except Exception:  # of damaged bytes, anything
        return
