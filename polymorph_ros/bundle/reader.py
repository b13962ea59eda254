"""Read a bundle and check it whole: nothing of a damaged or foreign bundle goes live."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from polymorph_ros.bundle.manifest import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_WEIGHTS_FILE,
    FORMAT_VERSION,
    HEAD_FILE,
    MANIFEST_FILE,
    SCOUT_FILE,
    UNKNOWN_SCENE_FILE,
    FileEntry,
    Manifest,
)
from polymorph_ros.errors import PolymorphError
from polymorph_ros.interfaces.share import share_folder

_CHUNK = 1 << 20
_COPY = "copy the bundle again, it is damaged"


@dataclass(frozen=True)
class Bundle:
    """A checked bundle on disk.

    Attributes:
        path: its folder.
        manifest: its text.
        checksum: SHA-256 of the manifest, which names the SHA-256 of every other file.
    """

    path: Path
    manifest: Manifest
    checksum: str

    @property
    def trunk_id(self) -> str:
        """The same for bundles whose trunks compute the same: 16 hexadecimal digits."""
        manifest = self.manifest
        entry = manifest.backbone
        inside = f"{entry.name}/" if entry.source == "bundle" else "\0"
        files = [file.sha256 for file in manifest.files if file.path.startswith(inside)]
        parts = [entry.model_dump(), manifest.preprocessing.model_dump(), manifest.tail_blocks]
        text = json.dumps([*parts, *files], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def adapter_folder(self, context: int) -> Path:
        """The folder with the adapter of the context with this index."""
        return self.path / self.manifest.contexts[context].folder

    @property
    def scout_file(self) -> Path:
        """The scout's tensors."""
        return self.path / SCOUT_FILE

    @property
    def scout_adapter_folder(self) -> Path | None:
        """The folder with the scout's own adapter; None for a scout without one."""
        folder = self.manifest.scout_adapter
        return None if folder is None else self.path / folder

    @property
    def unknown_scene_file(self) -> Path:
        """The statistics of features; there only if the manifest has ``unknown_scene``."""
        return self.path / UNKNOWN_SCENE_FILE

    @property
    def backbone_location(self) -> str:
        """A folder, or the backbone's name on the Hugging Face Hub."""
        entry = self.manifest.backbone
        return str(self.path / entry.name) if entry.source == "bundle" else entry.name


def default_bundle() -> Path:
    """The folder of the bundle that comes with the package, used where none is named.

    Raises:
        PolymorphError: the package is installed without it.
    """
    return share_folder("bundles") / "default"


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def read_bundle(path: Path | str) -> Bundle:
    """Read the bundle in a folder; check its text, every file's checksum and what must be there.

    Shapes that depend on the backbone are checked when the model is built from the bundle.

    Raises:
        PolymorphError: anything is missing, damaged, inconsistent or outside the folder.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise PolymorphError(
            "a bundle's folder",
            "no such folder" if not folder.exists() else "a file",
            where=str(folder),
            remedy="give the folder that holds manifest.json",
        )
    manifest, checksum = _read_manifest(folder / MANIFEST_FILE)
    bundle = Bundle(folder, manifest, checksum)
    for entry in manifest.files:
        check_file(folder, entry)
    _check_parts(bundle)
    return bundle


def read_document(path: Path) -> dict[str, Any]:
    """The JSON object of a manifest of any format version.

    Raises:
        PolymorphError: there is no such file, or it holds no JSON object.
    """
    if not path.is_file():
        raise PolymorphError("a bundle's manifest", "no such file", where=str(path))
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise PolymorphError("JSON", f"text that is not ({error})", where=str(path)) from None
    if not isinstance(document, dict):
        raise PolymorphError("a JSON object", type(document).__name__, where=str(path))
    return document


def _read_manifest(path: Path) -> tuple[Manifest, str]:
    version = read_document(path).get("format_version")
    if version != FORMAT_VERSION:
        raise PolymorphError(
            f"a bundle of format version {FORMAT_VERSION}",
            f"format version {version!r}",
            where=str(path),
            remedy=f"rewrite it: polymorph bundle upgrade {path.parent}"
            if version == 1
            else "update polymorph_ros, or train the bundle again",
        )
    raw = path.read_bytes()
    try:
        manifest = Manifest.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the manifest"
        raise PolymorphError(
            "a valid manifest",
            f"{error.error_count()} fault(s), first at {place}: {first['msg']}",
            where=str(path),
        ) from None
    return manifest, hashlib.sha256(raw).hexdigest()


def check_file(folder: Path, entry: FileEntry) -> None:
    """Check that a listed file is inside the folder, with its size and SHA-256.

    Raises:
        PolymorphError: it is missing, leaves the folder, or differs.
    """
    path = folder / entry.path
    if not path.is_file():
        raise PolymorphError("a file of the bundle", "none", where=str(path))
    if not path.resolve().is_relative_to(folder.resolve()):
        raise PolymorphError("a file inside the bundle", "a link out of it", where=str(path))
    size = path.stat().st_size
    if size != entry.size:
        raise PolymorphError(f"{entry.size} bytes", f"{size}", where=str(path), remedy=_COPY)
    found = file_sha256(path)
    if found != entry.sha256:
        raise PolymorphError(
            f"SHA-256 {entry.sha256[:12]}…", f"{found[:12]}…", where=str(path), remedy=_COPY
        )


def _check_parts(bundle: Bundle) -> None:
    """Every part that the manifest speaks of is a listed, readable file."""
    listed = {entry.path for entry in bundle.manifest.files}
    parts = [SCOUT_FILE]
    if bundle.manifest.unknown_scene is not None:
        parts.append(UNKNOWN_SCENE_FILE)
    heads = {context.folder: len(context.labels) for context in bundle.manifest.contexts}
    if bundle.manifest.scout_adapter is not None:
        rows = len(bundle.manifest.labels) + len(bundle.manifest.contexts)
        heads[bundle.manifest.scout_adapter] = rows
    for folder in heads:
        parts += [
            f"{folder}/{name}" for name in (ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, HEAD_FILE)
        ]
    if bundle.manifest.backbone.source == "bundle":
        parts.append(f"{bundle.manifest.backbone.name}/config.json")
    for part in parts:
        if part not in listed:
            raise PolymorphError(
                f"{part} in the manifest's list of files",
                "nothing of that name",
                where=str(bundle.path / MANIFEST_FILE),
            )
    for folder, rows in heads.items():
        _check_head(bundle.path / folder / HEAD_FILE, rows)
    for entry in bundle.manifest.files:
        if entry.path.endswith((".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")):
            raise PolymorphError("weights as safetensors only", entry.path, where=str(bundle.path))


def _check_head(path: Path, labels: int) -> None:
    try:
        with safe_open(path, framework="numpy") as tensors:
            shape = tensors.get_slice("weight").get_shape()
            bias = tensors.get_slice("bias").get_shape()
    except SafetensorError as error:
        raise PolymorphError(
            "a head with `weight` and `bias` as safetensors", str(error), where=str(path)
        ) from None
    if len(shape) != 2 or shape[0] != labels or bias != [labels]:
        raise PolymorphError(
            f"weight ({labels}, features) and bias ({labels},), a row for each label",
            f"weight {tuple(shape)} and bias {tuple(bias)}",
            where=str(path),
        )
