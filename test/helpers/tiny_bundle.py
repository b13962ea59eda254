"""A whole bundle with random weights in two overlapping contexts: small, quick, and real files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from helpers.tiny import (
    HIDDEN_SIZE,
    IMAGE_SIZE,
    AdapterSpec,
    tiny_backbone_folder,
    write_tiny_adapter,
)
from polymorph_ros.bundle.manifest import (
    MANIFEST_FILE,
    BackboneEntry,
    ContextEntry,
    FileEntry,
    LabelEntry,
    Manifest,
    Preprocessing,
    ReuseEntry,
    UnknownSceneEntry,
)
from polymorph_ros.bundle.reader import Bundle, file_sha256
from polymorph_ros.bundle.writer import write_bundle
from polymorph_ros.model.scout import Scout
from polymorph_ros.model.unknown_scene import FeatureStatistics

TAIL_BLOCKS = 2
CONTEXTS: Mapping[str, Sequence[str]] = {
    "office": ("person", "desk", "chair", "cup"),
    "street": ("person", "car", "tree"),
}


def write_tiny_bundle(
    path: Path,
    *,
    name: str = "tiny",
    contexts: Mapping[str, Sequence[str]] = CONTEXTS,
    on: float = 0.5,
    seed: int = 0,
    reuse: ReuseEntry | None = None,
    unknown_scene: UnknownSceneEntry | None = None,
    scout_adapter: bool = False,
) -> Bundle:
    """Writes a bundle of a ViT backbone for 32 px pictures, a PEFT adapter per context, a scout.

    Args:
        path: its folder; it must not exist yet.
        contexts: labels by context; the vocabulary is their union, in order of appearance.
        on: threshold of every label; `off` and `cover` lie below it.
        seed: of the random weights.
        reuse: when a result stands for a later picture; none: never.
        unknown_scene: when a scene counts as unknown, with mean 0 and covariance 1; none: never.
        scout_adapter: whether the scout has an adapter of its own.
    """
    vocabulary = list(dict.fromkeys(label for labels in contexts.values() for label in labels))

    def write_parts(folder: Path) -> None:
        backbone = tiny_backbone_folder(folder / "backbone", seed=seed)
        for index, (context, labels) in enumerate(contexts.items()):
            spec = AdapterSpec(labels=len(labels), seed=seed + index)
            write_tiny_adapter(folder / "adapters" / context, backbone, TAIL_BLOCKS, spec)
        torch.manual_seed(seed)
        scout = Scout(HIDDEN_SIZE, len(vocabulary), len(contexts), hidden=16, detectors=8)
        save_file(scout.tensors(), folder / "scout.safetensors")
        if scout_adapter:
            spec = AdapterSpec(labels=len(vocabulary) + len(contexts), seed=seed + 50)
            write_tiny_adapter(folder / "scout", backbone, TAIL_BLOCKS, spec)
        if unknown_scene is not None:
            features = 2 * HIDDEN_SIZE
            statistics = FeatureStatistics(torch.zeros(features), torch.eye(features))
            save_file(statistics.tensors(), folder / "unknown_scene.safetensors")

    def make_manifest(files: tuple[FileEntry, ...]) -> Manifest:
        rates = {"prior": 0.3, "appear_hz": 0.1, "vanish_hz": 0.2}
        return Manifest(
            name=name,
            description="random weights, for tests",
            backbone=BackboneEntry(source="bundle", name="backbone"),
            preprocessing=Preprocessing(size=IMAGE_SIZE, mean=(0.5,) * 3, std=(0.5,) * 3),
            tail_blocks=TAIL_BLOCKS,
            labels=tuple(
                LabelEntry(name=label, on=on, off=0.8 * on, cover=0.5 * on, **rates)
                for label in vocabulary
            ),
            contexts=tuple(
                ContextEntry(
                    name=context,
                    labels=tuple(labels),
                    folder=f"adapters/{context}",
                    prior=0.65,  # about what independent labels make of it
                    appear_hz=0.2,
                    vanish_hz=0.1,
                )
                for context, labels in contexts.items()
            ),
            scout_adapter="scout" if scout_adapter else None,
            reuse=reuse,
            unknown_scene=unknown_scene,
            files=files,
        )

    return write_bundle(path, write_parts, make_manifest)


def add_ballast(bundle: Path, size: int, sha256: str | None = None) -> Path:
    """Adds a file of zeros to a bundle, so that checking it takes long; it costs no disk space.

    Args:
        size: bytes.
        sha256: the checksum to note for it; none for the true one.
    """
    ballast = bundle / "ballast"
    with ballast.open("wb") as stream:
        stream.truncate(size)
    entry = FileEntry(path="ballast", sha256=sha256 or file_sha256(ballast), size=size)
    manifest_file = bundle / MANIFEST_FILE
    manifest = Manifest.model_validate_json(manifest_file.read_bytes())
    manifest = manifest.model_copy(update={"files": (*manifest.files, entry)})
    manifest_file.write_text(manifest.model_dump_json())
    return bundle
