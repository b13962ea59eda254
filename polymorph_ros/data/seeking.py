"""Pictures of a recording by number, in any order: for people who jump about in it.

Opening one reads stamps only. Bags are found in by log time, which every storage indexes.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from mcap.reader import SeekingReader

from polymorph_ros.arrays import NS_PER_S, Image, Indices
from polymorph_ros.data.bag_files import unpacked
from polymorph_ros.data.bag_recordings import BagTopic
from polymorph_ros.data.bag_storages import (
    McapStorage,
    SqliteStorage,
    Storage,
    StoredMessage,
    channel_type,
    stored,
)
from polymorph_ros.data.dataset import Fault
from polymorph_ros.data.image_files import read_image
from polymorph_ros.data.image_folders import ImageFolder
from polymorph_ros.data.image_stream import ImageStream
from polymorph_ros.data.joining import Recording
from polymorph_ros.data.pixels import image_of
from polymorph_ros.data.video_files import VideoFile, open_video
from polymorph_ros.errors import PolymorphError

_PROBES = 8  # frames of a video whose time is compared with a constant rate
_SAME_MS = 1.0
_NEAR_FRAMES = 48  # reading on to a frame so near is quicker than seeking


class Pictures(Protocol):
    """The pictures of one recording by number; any thread may call it.

    Attributes:
        stamps_ns: int64 (pictures,), ascending, in the recording's time.
    """

    @property
    def stamps_ns(self) -> Indices:
        """When each was taken."""
        ...

    def read(self, number: int) -> Image | Fault:
        """A picture, or why there is none."""
        ...


def open_pictures(recording: Recording) -> Pictures:
    """The pictures of a recording by number.

    Raises:
        PolymorphError: it cannot be read, or is of a kind that nothing here can jump about in.
    """
    if isinstance(recording, BagTopic):
        return BagPictures(recording)
    if isinstance(recording, VideoFile):
        return VideoPictures(recording)
    if isinstance(recording, ImageFolder):
        return FolderPictures.of(recording)
    raise PolymorphError("a bag, a video or a folder of pictures", type(recording).__name__)


@dataclass(frozen=True)
class FolderPictures:
    """A folder's pictures; ``files`` in the order of their stamps."""

    stamps_ns: Indices
    files: tuple[Path, ...]
    _stream: ImageStream = field(default_factory=ImageStream, repr=False, compare=False)

    @classmethod
    def of(cls, folder: ImageFolder) -> FolderPictures:
        """The pictures that are in the folder now."""
        pairs = folder.stamped_files()
        stamps = np.array([round(stamp_s * NS_PER_S) for stamp_s, _ in pairs], np.int64)
        return cls(stamps, tuple(file for _, file in pairs))

    def read(self, number: int) -> Image | Fault:
        """Decode a file."""
        return read_image(self.files[number], self._stream)


class BagPictures:
    """The pictures of a bag's topic.

    Attributes:
        stamps_ns: int64 (pictures,), ascending.
    """

    def __init__(self, recording: BagTopic) -> None:
        clock = recording.clock
        self._where = f"{recording.path}, {recording.topic}"
        self._order = np.argsort(clock.times_ns, kind="stable")
        self._log_ns, self._header_ns = clock.log_ns, clock.header_ns
        self.stamps_ns: Indices = clock.times_ns[self._order]
        self._seekers = [_seeker(one, recording.topic) for one in recording.bag.storages]
        self._lock = threading.Lock()
        self._stream = ImageStream()

    def read(self, number: int) -> Image | Fault:
        """Find a message by its log time and decode it."""
        message = int(self._order[number])
        where = f"{self._where} at {int(self.stamps_ns[number]) / NS_PER_S:.9f} s"
        try:
            with self._lock:
                found = self._find(message)
            if found is None:
                return Fault(where, "it is no longer there")
            return image_of(found.read(), self._stream)
        except PolymorphError as error:
            return Fault.of(error, where)

    def _find(self, message: int) -> StoredMessage | None:
        log_ns, header_ns = int(self._log_ns[message]), int(self._header_ns[message])
        before = (self._log_ns[:message] == log_ns) & (self._header_ns[:message] == header_ns)
        skip = int(before.sum())
        for one in chain.from_iterable(seeker.at(log_ns) for seeker in self._seekers):
            if one.stamp_ns == header_ns:
                if not skip:
                    return one
                skip -= 1
        return None


class _Seeker(Protocol):
    """Finds the messages of one topic in one file by their log time."""

    def at(self, log_ns: int) -> Iterator[StoredMessage]: ...


def _seeker(storage: Storage, topic: str) -> _Seeker:
    if isinstance(storage, McapStorage):
        return _McapSeeker(storage.path, topic)
    if isinstance(storage, SqliteStorage):
        return _SqliteSeeker(storage.path, topic)
    return _Scanner(storage, topic)


class _McapSeeker:
    """An open MCAP file; its index is read once."""

    def __init__(self, path: Path, topic: str) -> None:
        self._path, self._topic = path, topic
        self._reader: SeekingReader | None = None

    def at(self, log_ns: int) -> Iterator[StoredMessage]:
        try:
            if self._reader is None:
                self._reader = SeekingReader(unpacked(self._path).open("rb"), validate_crcs=True)
            for schema, channel, message in self._reader.iter_messages(
                [self._topic], starting_at=log_ns, ending_at=log_ns
            ):
                kind, encoding = channel_type(channel, schema)
                yield stored(kind, message.log_time, message.data, encoding)
        except Exception as error:  # of the reader or any decompressor
            raise PolymorphError("a whole MCAP file", str(error), where=str(self._path)) from None


class _SqliteSeeker:
    """An open SQLite file."""

    def __init__(self, path: Path, topic: str) -> None:
        self._path, self._topic = path, topic
        self._base: sqlite3.Connection | None = None

    def at(self, log_ns: int) -> Iterator[StoredMessage]:
        query = (
            "SELECT type, data FROM messages JOIN topics ON topic_id = topics.id "
            "WHERE timestamp = ? AND name = ? ORDER BY messages.id"
        )
        try:
            if self._base is None:
                uri = f"{unpacked(self._path).resolve().as_uri()}?mode=ro&immutable=1"
                self._base = sqlite3.connect(uri, uri=True, check_same_thread=False)
            for kind, data in self._base.execute(query, (log_ns, self._topic)).fetchall():
                yield stored(str(kind), log_ns, data if isinstance(data, bytes) else b"")
        except sqlite3.Error as error:
            raise PolymorphError(
                "a whole SQLite recording", str(error), where=str(self._path)
            ) from None


@dataclass(frozen=True)
class _Scanner:
    """A file without an index: read from its beginning each time."""

    storage: Storage
    topic: str

    def at(self, log_ns: int) -> Iterator[StoredMessage]:
        return (one for one in self.storage.messages(self.topic) if one.log_ns == log_ns)


@dataclass
class VideoPictures:
    """A video's pictures: reads on where the next one is near, else seeks.

    Where the video has a constant rate, which a few probes show, no frame is decoded to open it.
    """

    video: VideoFile
    stamps_ns: Indices = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._capture = open_video(self.video.path)
        self._next = 0
        self._lock = threading.Lock()
        stamps = self._constant_rate()
        if stamps is None:
            stamps = np.array([one.stamp_ns for one in self.video.moments()], np.int64)
        self.stamps_ns = stamps

    def read(self, number: int) -> Image | Fault:
        """Decode a frame."""
        stamp_s = int(self.stamps_ns[number]) / NS_PER_S
        with self._lock:
            sound, image = (False, None)
            if self._go_to(number):
                sound, image = self._capture.retrieve()
        if not sound or image is None:
            where = f"{self.video.path}, {stamp_s:.3f} s"
            return Fault(where, "the picture cannot be decoded")
        return image[:, :, ::-1].astype(np.uint8, copy=False)

    def _go_to(self, number: int) -> bool:
        """Whether the frame of that number is the one grabbed last now."""
        if not self._next <= number < self._next + _NEAR_FRAMES:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, number)
            self._next = number
        while self._next <= number:
            if not self._capture.grab():
                self._next = -_NEAR_FRAMES  # where it stands now is not known: seek again
                return False
            self._next += 1
        return True

    def _constant_rate(self) -> Indices | None:
        """The frames' stamps if number over rate gives them, as far as a few probes can show."""
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        if count < 1 or not 0.0 < rate < 1000.0:
            return None
        for number in np.unique(np.linspace(0, count - 1, _PROBES).astype(int)).tolist():
            if not self._go_to(number):
                return None
            told_ms = self._capture.get(cv2.CAP_PROP_POS_MSEC)
            if abs(told_ms - 1000.0 * number / rate) > _SAME_MS:
                return None
        if self._capture.grab():  # there are more than it says
            return None
        self._next = -_NEAR_FRAMES
        return np.round(np.arange(count) * (NS_PER_S / rate)).astype(np.int64)
