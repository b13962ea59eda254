"""Write files and folders whole or not at all: under a hidden name beside, then renamed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from polymorph_ros.errors import PolymorphError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Replace a file by what the body writes; if the body fails, it stays as it was.

    Yields:
        The path to write to, with the same suffix, in the same folder, which is created.

    Raises:
        PolymorphError: the file cannot be written there, or the disk is full.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "rows.json"
    >>> with replacing(file) as unfinished:
    ...     _ = unfinished.write_text("[]")
    >>> file.read_text()
    '[]'
    """
    file = Path(path)
    # One name for all attempts: what a killed one left is overwritten by the next.
    unfinished = file.with_name(f".{file.stem}.new{file.suffix}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        os.replace(unfinished, file)
    except OSError as error:
        raise cannot_write(file, error) from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Replace a text file (UTF-8) as ``replacing`` does."""
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def write_json(path: Path | str, document: object) -> None:
    """Replace a JSON file as ``replacing`` does."""
    write_text(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


@contextmanager
def new_folder(path: Path | str, *, replace: bool = False) -> Iterator[Path]:
    """Make a folder of what the body writes; if the body fails, nothing appears.

    Args:
        path: the folder.
        replace: whether one that exists is replaced.

    Yields:
        An empty folder of the same name elsewhere beside it: bags name their files by it.

    Raises:
        PolymorphError: the folder exists already, or cannot be written.
    """
    folder = Path(path)
    if folder.exists() and not replace:
        raise PolymorphError(
            "a folder that does not exist yet", "one that does", where=str(folder),
            remedy="remove it, or choose another",
        )  # fmt: skip
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        workshop = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        unfinished = workshop / folder.name
        unfinished.mkdir()
        yield unfinished
        if folder.exists():
            shutil.rmtree(folder)
        unfinished.rename(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def free_bytes(folder: Path) -> int:
    """What is free on the disk of a folder, which need not exist yet."""
    existing = next(place for place in (folder, *folder.resolve().parents) if place.exists())
    return shutil.disk_usage(existing).free


def cannot_write(where: Path | str, error: OSError) -> PolymorphError:
    """The error of a place that cannot be written; one of a full disk says that work continues."""
    found = error.strerror or str(error)
    if error.errno in DISK_FULL:
        return PolymorphError(
            "room on the disk", found, where=str(where),
            remedy="make room and run the same command again",
        )  # fmt: skip
    return PolymorphError("a place that can be written to", found, where=str(where))
