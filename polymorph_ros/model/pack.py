"""Make a bundle smaller: its adapters in half precision, or as 8-bit integers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from polymorph_ros.bundle.manifest import (
    ADAPTER_WEIGHTS_FILE,
    HEAD_FILE,
    MANIFEST_FILE,
    AdapterType,
    FileEntry,
    Manifest,
)
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.bundle.writer import write_bundle
from polymorph_ros.model.quantised import quantised
from polymorph_ros.model.tensor_file import read_tensors

_Change = Callable[[str, Tensor], dict[str, Tensor]]


def pack_bundle(bundle: Bundle, kind: AdapterType, out: Path) -> Bundle:
    """Writes a copy of a bundle whose adapters are stored in another type.

    Heads, which are small, become half precision. PEFT opens adapters of type ``float16``; those of
    type ``int8`` only this package does. Backbone and scout stay as they are.

    Args:
        bundle: what is copied; packing one twice rounds twice.
        kind: the type.
        out: the new bundle's folder; it must not exist.

    Raises:
        PolymorphError: an adapter cannot be read, or something is in the way.
    """
    change = quantised if kind == "int8" else _halved
    manifest = bundle.manifest

    def write_parts(folder: Path) -> None:
        for entry in manifest.files:
            (folder / entry.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.path / entry.path, folder / entry.path)
        for context in manifest.contexts:
            _rewrite(folder / context.folder / ADAPTER_WEIGHTS_FILE, change)
            _rewrite(folder / context.folder / HEAD_FILE, _halved)

    def make_manifest(files: tuple[FileEntry, ...]) -> Manifest:
        parts = tuple(entry for entry in files if entry.path != MANIFEST_FILE)
        return manifest.model_copy(update={"adapter_type": kind, "files": parts})

    return write_bundle(out, write_parts, make_manifest)


def adapter_bytes(bundle: Bundle) -> int:
    """Bytes of all adapters with their heads on disk."""
    folders = tuple(f"{context.folder}/" for context in bundle.manifest.contexts)
    return sum(entry.size for entry in bundle.manifest.files if entry.path.startswith(folders))


def _halved(name: str, tensor: Tensor) -> dict[str, Tensor]:
    return {name: tensor.half()}


def _rewrite(path: Path, change: _Change) -> None:
    tensors: dict[str, Tensor] = {}
    for name, tensor in read_tensors(path).items():
        tensors |= change(name, tensor)
    save_file(tensors, path, metadata={"format": "pt"})
