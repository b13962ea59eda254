"""The files of a recording: which belong to it, in which order, and what metadata.yaml says.

Nothing here needs metadata.yaml: recorders that died leave none, and new ones write versions that
no reader knows yet. It only says how many messages there should be.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from shlex import quote
from tempfile import TemporaryDirectory
from typing import Any

import yaml
import zstandard

from polymorph_ros.errors import PolymorphError

STORAGES = (".mcap", ".db3")
ROS1_BAG = ".bag"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

_PACKED = (".zstd", ".zst")


@dataclass(frozen=True)
class Metadata:
    """What metadata.yaml says, as far as it can be understood.

    Attributes:
        files: names of the storage files in their order, as they are called when unpacked.
        counts: topic -> recorded messages.
    """

    files: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


def read_metadata(folder: Path) -> Metadata:
    """The metadata of a recording; empty where there is none, or none that makes sense."""
    try:
        text = (folder / "metadata.yaml").read_text(encoding="utf-8")
        said: Any = yaml.safe_load(text)["rosbag2_bagfile_information"]
        counts = {
            str(entry["topic_metadata"]["name"]): int(entry["message_count"])
            for entry in said["topics_with_message_count"]
        }
        files = tuple(inner_name(PurePosixPath(name).name) for name in said["relative_file_paths"])
    # a file of any content: what YAML makes of it may be of any type, or nested too deeply
    except (OSError, yaml.YAMLError, LookupError, TypeError, ValueError, RecursionError):
        return Metadata()
    return Metadata(files, counts)


def inner_name(name: str) -> str:
    """A file's name without the suffix of its compression."""
    path = PurePosixPath(name)
    return path.stem if path.suffix.lower() in _PACKED else name


def file_kind(path: Path) -> str:
    """The suffix of a storage file without its compression, in lower case: ``.mcap``."""
    return PurePosixPath(inner_name(path.name)).suffix.lower()


def is_storage(path: Path) -> bool:
    """Whether a file is called like one of a rosbag2 recording, compressed or not."""
    return file_kind(path) in STORAGES and path.is_file()


def is_bag(path: Path) -> bool:
    """Whether a path is one recording: a file, or a folder with metadata.yaml.

    A killed recorder leaves a folder without: then it is one with a single storage file, or with
    several that differ in the number at their end only.
    """
    if not path.is_dir():
        return is_storage(path) or (file_kind(path) == ROS1_BAG and path.is_file())
    names = {_stem(file) for file in path.iterdir() if is_storage(file)}
    series = {re.sub(r"\d+$", "", name) for name in names}
    return (path / "metadata.yaml").is_file() or len(series) == 1


def bag_name(path: Path, root: Path | None = None) -> str:
    """A recording's name: that of its folder or file, below a root where one is given."""
    inner = path if path.is_dir() else path.with_name(_stem(path))
    if root is not None:
        return inner.relative_to(root).as_posix()
    return inner.name or inner.resolve().name


def _stem(file: Path) -> str:
    return PurePosixPath(inner_name(file.name)).stem


def storage_files(path: Path) -> list[Path]:
    """The files of a recording in the order of recording: as metadata.yaml says, else by number.

    Of a file that is there packed and unpacked, the unpacked one.
    """
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if is_storage(file))
    by_name = {inner_name(file.name): file for file in reversed(files)}
    said = [name for name in read_metadata(path).files if name in by_name]
    return [by_name[name] for name in said or sorted(by_name, key=_number)]


def _number(name: str) -> tuple[int, str]:
    number = re.search(r"(\d+)$", PurePosixPath(name).stem)
    return int(number[0]) if number else -1, name


def unpacked(file: Path) -> Path:
    """The file itself, or its content where it is compressed: unpacked once per process.

    Raises:
        PolymorphError: it cannot be unpacked.
    """
    if file.suffix.lower() not in _PACKED:
        return file
    there = file.stat()
    return _unpacked(file.resolve(), there.st_size, there.st_mtime_ns)


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="polymorph-bags-")


@cache
def _unpacked(file: Path, size: int, changed_ns: int) -> Path:
    target = Path(_folder().name) / f"{abs(hash((file, size, changed_ns)))}-{inner_name(file.name)}"
    try:
        with file.open("rb") as packed, target.open("wb") as plain:
            reader = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
            shutil.copyfileobj(reader, plain, 1 << 20)
    except (OSError, zstandard.ZstdError) as error:
        target.unlink(missing_ok=True)
        raise PolymorphError(
            "a whole zstd file",
            str(error),
            where=str(file),
            remedy=f"unpack it: unzstd {quote(str(file))}",
        ) from None
    return target
