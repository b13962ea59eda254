"""Captured pictures on disk: rosbag2 recordings (MCAP) with one file for each picture.

A folder holds one recording per camera and run, as ``front_20261126_105900``. Beside each picture
are the node's labels of it, and a note on ``NOTE_TOPIC`` that says why it was captured. A picture's
file is written under a hidden name and renamed; metadata.yaml is replaced whole. So a recording is
complete at every instant, and one picture goes by deleting its file.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.rosbag2 import StoragePlugin, Writer

from polymorph_ros.arrays import Image
from polymorph_ros.data.bags import COMPRESSED_IMAGE, STRING, open_bag
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import DISK_FULL, cannot_write, write_text
from polymorph_ros.interfaces.bag_messages import message_types, serialise
from polymorph_ros.interfaces.stamps import stamp_fields
from polymorph_ros.interfaces.topics import LABELS

NOTE_TOPIC = "/polymorph/capture"
METADATA = "metadata.yaml"

_BAG_VERSION: Literal[8] = 8  # of metadata.yaml: 9 writes QoS in a way that Humble cannot read
_WORKSHOP = ".capture.new"
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class Note:
    """Why a picture was captured, and its view.

    Attributes:
        camera: which camera took it.
        stamp_ns: its stamp, nanoseconds.
        image_topic: the topic of the picture in the recording.
        labels_topic: the topic of its labels there.
        reason: why it was captured.
        weight: what it is worth beside others, above 0.
        trunk: identifies the trunk that the feature comes from.
        feature: float32 (D,), the trunk's pooled feature; None where it is not known.
    """

    camera: str
    stamp_ns: int
    image_topic: str
    labels_topic: str
    reason: str
    weight: float
    trunk: str
    feature: NDArray[np.float32] | None

    def to_json(self) -> str:
        """As text; the feature in half precision."""
        feature = None
        if self.feature is not None:
            feature = base64.b64encode(self.feature.astype("<f2").tobytes()).decode()
        return json.dumps({**self.__dict__, "feature": feature})

    @classmethod
    def from_json(cls, text: str) -> Note:
        """From text.

        Raises:
            ValueError: it is not such a note.
        """
        try:
            entries = json.loads(text)
            packed = entries.pop("feature")
            feature = None
            if packed is not None:
                feature = np.frombuffer(base64.b64decode(packed), "<f2").astype(np.float32)
            return cls(**entries, feature=feature)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(str(error)) from error


@dataclass(frozen=True)
class StoredPicture:
    """A picture in the folder: its file, that file's size in bytes, and its note."""

    path: Path
    size: int
    note: Note

    @property
    def bag(self) -> Path:
        """Its recording."""
        return self.path.parent


class CaptureFolder:
    """The recordings below one folder; for one thread of one process at a time.

    What is not a capture of this kind stays untouched and is not counted.

    Args:
        path: the folder; it is created.

    Raises:
        PolymorphError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        check_folder(path)
        self._pictures: dict[Path, StoredPicture] = {}
        self._bags: dict[str, StoredPicture] = {}  # the last picture of each camera's recording
        for picture in _stored_pictures(path):
            self._pictures[picture.path] = picture
        for bag in {picture.bag for picture in self._pictures.values()}:
            self._describe(bag)

    @property
    def pictures(self) -> tuple[StoredPicture, ...]:
        """All pictures, the oldest file first."""
        return tuple(self._pictures.values())

    @property
    def size(self) -> int:
        """Bytes of all pictures."""
        return sum(picture.size for picture in self._pictures.values())

    def add(self, picture: bytes, labels: bytes, note: Note) -> StoredPicture:
        """Write a picture, whole or not at all.

        Args:
            picture: a ``CompressedImage`` as CDR.
            labels: a ``LabelArray`` as CDR.
            note: of the picture.

        Raises:
            PolymorphError: it cannot be written, for instance because the disk is full.
        """
        bag = self._bag_of(note)
        file = bag / f"{bag.name}_{_next_number(bag)}.mcap"
        workshop = self.path / _WORKSHOP
        try:
            shutil.rmtree(workshop, ignore_errors=True)
            bag.mkdir(parents=True, exist_ok=True)
            written = _write(workshop / bag.name, picture, labels, note)
            os.replace(written, file)
            stored = StoredPicture(file, file.stat().st_size, note)
            self._pictures[file] = stored
            self._describe(bag)
        except BaseException as error:
            self._undo(file)
            if isinstance(error, OSError):
                raise cannot_write(bag, error) from error
            raise
        finally:
            shutil.rmtree(workshop, ignore_errors=True)
        self._bags[note.camera] = stored
        return stored

    def drop(self, picture: StoredPicture) -> None:
        """Delete a picture, and its recording with the last one.

        Raises:
            PolymorphError: it cannot be deleted.
        """
        del self._pictures[picture.path]
        try:
            with suppress(PolymorphError):  # a full disk: there is room after the deletion
                self._describe(picture.bag)
            picture.path.unlink(missing_ok=True)
            self._describe(picture.bag)
        except OSError as error:
            raise cannot_write(picture.path, error) from error

    def _undo(self, file: Path) -> None:
        """Leave nothing of a picture that could not be written whole."""
        self._pictures.pop(file, None)
        with suppress(OSError):
            file.unlink(missing_ok=True)
        with suppress(OSError):
            file.parent.rmdir()  # only where it is empty

    def _bag_of(self, note: Note) -> Path:
        """The recording that a picture belongs to: stamps ascend in it."""
        last = self._bags.get(note.camera)
        if last is not None and last.note.stamp_ns < note.stamp_ns and last.bag.is_dir():
            return last.bag
        name = f"{note.camera}_{time.strftime('%Y%m%d_%H%M%S', time.gmtime())}"
        free, number = self.path / name, 2
        while free.exists():
            free, number = self.path / f"{name}_{number}", number + 1
        return free

    def _describe(self, bag: Path) -> None:
        """Write metadata.yaml for the pictures of a recording, or remove the empty recording."""
        pictures = [picture for picture in self._pictures.values() if picture.bag == bag]
        if pictures:
            write_text(bag / METADATA, _metadata(pictures))
            return
        with suppress(OSError):
            (bag / METADATA).unlink(missing_ok=True)
            bag.rmdir()


def check_folder(path: Path) -> None:
    """Create a folder for captures and write into it.

    Raises:
        PolymorphError: it cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".{os.getpid()}.probe"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise cannot_write(path, error) from error


def picture_message(data: Any, kind: str, stamp_ns: int, frame_id: str) -> bytes:
    """A compressed picture as a ``CompressedImage`` in CDR.

    Args:
        data: the compressed bytes.
        kind: the message's field ``format``.
        stamp_ns: nanoseconds.
        frame_id: of the camera.
    """
    header = {"stamp": stamp_fields(stamp_ns), "frame_id": frame_id}
    fields = {"header": header, "format": kind, "data": np.frombuffer(data, np.uint8)}
    return serialise(COMPRESSED_IMAGE, fields)


def as_jpeg(image: Image) -> bytes:
    """A picture as JPEG of a quality at which training sees no difference."""
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(image[:, :, ::-1]), options)
    return data.tobytes()


def _stored_pictures(folder: Path) -> Iterator[StoredPicture]:
    """The pictures below a folder, by the time of their files."""
    files = [file for file in folder.glob("*/*.mcap") if not file.parent.name.startswith(".")]
    for file in sorted(files, key=lambda one: (one.stat().st_mtime_ns, one.name)):
        try:
            (message,) = open_bag(file).messages(NOTE_TOPIC)
            note = Note.from_json(message.read().data)
        except (PolymorphError, ValueError):
            continue
        yield StoredPicture(file, file.stat().st_size, note)


def _next_number(bag: Path) -> int:
    numbers = [file.stem.rpartition("_")[2] for file in bag.glob("*.mcap")]
    return 1 + max((int(number) for number in numbers if number.isdigit()), default=-1)


def _write(folder: Path, picture: bytes, labels: bytes, note: Note) -> Path:
    """A recording of one picture; its file, written through to the disk."""
    folder.parent.mkdir()
    texts = serialise(STRING, {"data": note.to_json()})
    messages = zip(_topics(note), (picture, labels, texts), strict=True)
    with Writer(folder, version=_BAG_VERSION, storage_plugin=StoragePlugin.MCAP) as writer:
        for (topic, type_name), raw in messages:
            connection = writer.add_connection(topic, type_name, typestore=message_types())
            writer.write(connection, note.stamp_ns, raw)
    file = folder / f"{folder.name}.mcap"
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
    return file


def _topics(note: Note) -> tuple[tuple[str, str], ...]:
    """The topics of a picture's file with their types."""
    return (
        (note.image_topic, COMPRESSED_IMAGE),
        (note.labels_topic, LABELS.type),
        (NOTE_TOPIC, STRING),
    )


def _metadata(pictures: list[StoredPicture]) -> str:
    """metadata.yaml of a recording, as rosbag2 writes it."""
    stamps = [picture.note.stamp_ns for picture in pictures]
    topics = _topics(pictures[0].note)
    lines = [
        "rosbag2_bagfile_information:",
        f"  version: {_BAG_VERSION}",
        "  storage_identifier: mcap",
        f"  duration:\n    nanoseconds: {max(stamps) - min(stamps)}",
        f"  starting_time:\n    nanoseconds_since_epoch: {min(stamps)}",
        f"  message_count: {len(topics) * len(pictures)}",
        "  topics_with_message_count:",
        *(
            f"    - topic_metadata:\n        name: {topic}\n        type: {kind}\n"
            "        serialization_format: cdr\n        offered_qos_profiles: ''\n"
            f"        type_description_hash: {message_types().hash_rihs01(kind)}\n"
            f"      message_count: {len(pictures)}"
            for topic, kind in topics
        ),
        "  compression_format: ''",
        "  compression_mode: ''",
        "  relative_file_paths:",
        *(f"    - {picture.path.name}" for picture in pictures),
        "  files:",
        *(
            f"    - path: {picture.path.name}\n      starting_time:\n"
            f"        nanoseconds_since_epoch: {picture.note.stamp_ns}\n"
            "      duration:\n        nanoseconds: 0\n"
            f"      message_count: {len(topics)}"
            for picture in pictures
        ),
        "  custom_data: null",
        "  ros_distro: rosbags",
    ]
    return "\n".join(lines) + "\n"
