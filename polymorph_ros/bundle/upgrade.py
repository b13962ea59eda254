"""Rewrite a bundle of format version 1 as version 2: the same weights under today's names."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from polymorph_ros.bundle.manifest import (
    FORMAT_VERSION,
    MANIFEST_FILE,
    UNKNOWN_SCENE_FILE,
    FileEntry,
    Manifest,
)
from polymorph_ros.bundle.reader import Bundle, check_file, read_bundle, read_document
from polymorph_ros.bundle.writer import write_bundle
from polymorph_ros.errors import PolymorphError

_OLD_VERSION = 1
_OLD_SCENE_FILE = "scene.safetensors"


def upgrade_bundle(path: Path | str, out: Path | str | None = None) -> Bundle:
    """Rewrite a bundle of version 1; one of today's version stays as it is.

    No weight changes: files are copied, and only the manifest and one file name are new.

    Args:
        path: the bundle's folder.
        out: folder of the upgraded bundle, which must not exist; None to replace the old one,
            at one instant and only when the new one is whole.

    Returns:
        The bundle of today's version.

    Raises:
        PolymorphError: the old bundle is damaged or of another version, or ``out`` exists.
    """
    folder = Path(path).expanduser()
    document = read_document(folder / MANIFEST_FILE)
    if document.get("format_version") == FORMAT_VERSION:
        return read_bundle(folder)
    if document.get("format_version") != _OLD_VERSION:
        raise PolymorphError(
            f"a bundle of format version {_OLD_VERSION} or {FORMAT_VERSION}",
            f"format version {document.get('format_version')!r}",
            where=str(folder / MANIFEST_FILE),
            remedy="update polymorph_ros, or train the bundle again",
        )
    old_files = _checked_files(folder, document)

    def write_parts(fresh: Path) -> None:
        for name in old_files:
            target = fresh / (UNKNOWN_SCENE_FILE if name == _OLD_SCENE_FILE else name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, target)

    def make_manifest(files: tuple[FileEntry, ...]) -> Manifest:
        try:
            return Manifest.model_validate({**_renamed(document), "files": files})
        except ValidationError as error:
            raise _invalid(folder, error) from None

    target = folder if out is None else Path(out)
    return write_bundle(target, write_parts, make_manifest, replace=out is None)


def _checked_files(folder: Path, document: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the old bundle's files, each as its checksum says."""
    try:
        entries = [FileEntry.model_validate(entry) for entry in document.get("files", ())]
    except (ValidationError, TypeError) as error:
        raise _invalid(folder, error) from None
    for entry in entries:
        check_file(folder, entry)
    return tuple(entry.path for entry in entries)


def _renamed(document: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with the names of version 2."""
    new = dict(document, format_version=FORMAT_VERSION)
    for old_name, name in (("unchanged", "reuse"), ("scene", "unknown_scene")):
        if old_name in new:
            new[name] = new.pop(old_name)
    new["labels"] = [_with_name(label, "watch", "cover") for label in new.get("labels", ())]
    if "evidence" in new:
        new["evidence"] = _with_name(new["evidence"], "company", "cooccurrence")
    return new


def _with_name(entry: Any, old: str, new: str) -> Any:
    if not isinstance(entry, dict) or old not in entry:
        return entry
    return {new if key == old else key: value for key, value in entry.items()}


def _invalid(folder: Path, error: Exception) -> PolymorphError:
    found = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
    return PolymorphError(
        f"a valid manifest of format version {_OLD_VERSION}",
        found,
        where=str(folder / MANIFEST_FILE),
    )
