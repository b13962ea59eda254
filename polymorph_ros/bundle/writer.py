"""Write a bundle: beside its place under a temporary name, checked, then renamed."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from polymorph_ros.bundle.manifest import MANIFEST_FILE, FileEntry, Manifest
from polymorph_ros.bundle.reader import Bundle, file_sha256, read_bundle
from polymorph_ros.errors import PolymorphError

_RENAME_EXCHANGE = 2


def write_bundle(
    path: Path | str,
    write_parts: Callable[[Path], None],
    make_manifest: Callable[[tuple[FileEntry, ...]], Manifest],
    *,
    replace: bool = False,
) -> Bundle:
    """Write a bundle whole or not at all.

    Args:
        path: the bundle's folder; its parent is created if needed.
        write_parts: writes backbone, adapters and scout into the folder it is given.
        make_manifest: makes the manifest from the list of those files.
        replace: whether a bundle that is already there is replaced.

    Raises:
        PolymorphError: something is in the way, or what was written is not a valid bundle.
    """
    target = Path(path).expanduser()
    if target.exists() and not replace:
        raise PolymorphError(
            "a folder that does not exist yet", "one that does", where=str(target),
            remedy="choose another or allow replacing it",
        )  # fmt: skip
    target.parent.mkdir(parents=True, exist_ok=True)
    # One name for all attempts: what a killed one left is cleared by the next.
    fresh = target.with_name(f".{target.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    try:
        write_parts(fresh)
        manifest = make_manifest(list_files(fresh))
        text = manifest.model_dump_json(indent=1)
        (fresh / MANIFEST_FILE).write_text(text + "\n", encoding="utf-8")
        read_bundle(fresh)
        _put_in_place(fresh, target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return read_bundle(target)


def _put_in_place(fresh: Path, target: Path) -> None:
    """Give a folder its name; one that is there gets the other's, at the same instant."""
    if not target.exists():
        fresh.rename(target)
        return
    here = -100  # AT_FDCWD
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(here, os.fsencode(fresh), here, os.fsencode(target), _RENAME_EXCHANGE):
        code = ctypes.get_errno()
        if code not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(code, os.strerror(code), str(target))
        # A file system that cannot exchange: for an instant there is no bundle.
        old = fresh.with_name(f".{target.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        target.rename(old)
        fresh.rename(target)
        shutil.rmtree(old)


def list_files(folder: Path) -> tuple[FileEntry, ...]:
    """Every file below a folder with its size and SHA-256, sorted by path."""
    return tuple(
        FileEntry(
            path=file.relative_to(folder).as_posix(),
            sha256=file_sha256(file),
            size=file.stat().st_size,
        )
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    )
