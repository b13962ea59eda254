"""Put the parts that stages made together to a bundle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polymorph_ros.bundle.manifest import (
    SCOUT_ADAPTER_FOLDER,
    SCOUT_FILE,
    UNKNOWN_SCENE_FILE,
    BackboneEntry,
    ContextEntry,
    EvidenceEntry,
    FileEntry,
    LabelEntry,
    Manifest,
    Preprocessing,
    ReuseEntry,
)
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.bundle.writer import write_bundle
from polymorph_ros.contexts.cooccurrence import Cooccurrence
from polymorph_ros.contexts.statistics import Dynamics
from polymorph_ros.runtime.knowledge import EvidenceWeights
from polymorph_ros.runtime.thresholds import Thresholds
from polymorph_ros.training.artifacts import RELIABILITY_FILE, SUMS_FILE, Artifact
from polymorph_ros.training.config import RECIPE_FILE, Recipe
from polymorph_ros.training.stages.contexts import Contexts
from polymorph_ros.training.stages.unknown_scene import load_unknown_scene_entry


@dataclass(frozen=True)
class Parts:
    """Everything of a bundle but its thresholds and metrics.

    Attributes:
        backbone: folder of the transformers checkpoint.
        adapters: a folder for each context.
        scout: folder with the scout's file, and its adapter where it has one.
        labels, presence: how labels and contexts come and go.
        cooccurrence: which context a label comes with.
        unknown_scene: what `UnknownSceneStage` made.
        recipe: how it was trained.
        weights: how much of which evidence counts.
        reuse: when a result stands for a later picture; none: never.
    """

    name: str
    description: str
    preprocessing: Preprocessing
    tail_blocks: int
    contexts: Contexts
    backbone: Path
    adapters: tuple[Path, ...]
    scout: Path
    labels: Dynamics
    presence: Dynamics
    cooccurrence: Cooccurrence
    unknown_scene: Artifact
    recipe: Recipe
    weights: EvidenceWeights
    reuse: ReuseEntry | None = None


def assemble(
    parts: Parts, thresholds: Thresholds, metrics: Mapping[str, float], out: Path
) -> Bundle:
    """Write a bundle; one that is there is replaced."""
    scout_adapter = (parts.scout / SCOUT_ADAPTER_FOLDER).is_dir()

    def write_parts(folder: Path) -> None:
        shutil.copytree(parts.backbone, folder / "backbone")
        for name, adapter in zip(parts.contexts.names, parts.adapters, strict=True):
            target = folder / "adapters" / name
            private = shutil.ignore_patterns(SUMS_FILE, RELIABILITY_FILE)
            shutil.copytree(adapter, target, ignore=private)
        shutil.copy(parts.scout / SCOUT_FILE, folder / SCOUT_FILE)
        if scout_adapter:
            shutil.copytree(parts.scout / SCOUT_ADAPTER_FOLDER, folder / SCOUT_ADAPTER_FOLDER)
        shutil.copy(parts.unknown_scene.folder / UNKNOWN_SCENE_FILE, folder / UNKNOWN_SCENE_FILE)
        recipe = parts.recipe.model_dump_json(indent=1)
        (folder / RECIPE_FILE).write_text(recipe + "\n", encoding="utf-8")

    def make_manifest(files: tuple[FileEntry, ...]) -> Manifest:
        return Manifest(
            name=parts.name,
            description=parts.description,
            backbone=BackboneEntry(source="bundle", name="backbone", revision=None),
            preprocessing=parts.preprocessing,
            tail_blocks=parts.tail_blocks,
            tail_tokens=parts.recipe.adapters.tail_tokens,
            labels=label_entries(parts.contexts.vocabulary, parts.labels, thresholds),
            contexts=context_entries(
                parts.contexts, parts.presence, parts.cooccurrence, parts.adapters
            ),
            correlation_s=parts.weights.correlation_s,
            evidence=_evidence(parts.weights),
            scout_adapter=SCOUT_ADAPTER_FOLDER if scout_adapter else None,
            reuse=parts.reuse,
            unknown_scene=load_unknown_scene_entry(parts.unknown_scene),
            metrics=dict(metrics),
            files=files,
        )

    return write_bundle(out, write_parts, make_manifest, replace=True)


def _evidence(weights: EvidenceWeights) -> EvidenceEntry:
    shares = {name: getattr(weights, name) for name in EvidenceEntry.model_fields}
    return EvidenceEntry(**shares)


def label_entries(
    names: tuple[str, ...], learned: Dynamics, thresholds: Thresholds
) -> tuple[LabelEntry, ...]:
    """What the manifest says of labels."""
    return tuple(
        LabelEntry(
            name=name,
            on=round(float(thresholds.on[label]), 4),
            off=round(float(thresholds.off[label]), 4),
            cover=round(float(thresholds.cover[label]), 4),
            prior=float(learned.prior[label]),
            appear_hz=float(learned.appear_hz[label]),
            vanish_hz=float(learned.vanish_hz[label]),
        )
        for label, name in enumerate(names)
    )


def context_entries(
    contexts: Contexts, learned: Dynamics, counted: Cooccurrence, adapters: tuple[Path, ...]
) -> tuple[ContextEntry, ...]:
    """What the manifest says of contexts."""
    ends = np.cumsum([len(labels) for labels in contexts.labels])[:-1]
    shares, priors = np.split(counted.shares, ends), np.split(counted.priors, ends)
    return tuple(
        ContextEntry(
            name=name,
            labels=contexts.labels_of(index),
            folder=f"adapters/{name}",
            prior=float(learned.prior[index]),
            appear_hz=float(learned.appear_hz[index]),
            vanish_hz=float(learned.vanish_hz[index]),
            reliability=_reliability(adapters[index]),
            shares=tuple(shares[index].tolist()),
            label_priors=tuple(priors[index].tolist()),
        )
        for index, name in enumerate(contexts.names)
    )


def _reliability(adapter: Path) -> tuple[float, ...] | None:
    """What the adapter's stage found; none of one that was trained before that was told."""
    file = adapter / RELIABILITY_FILE
    return tuple(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None
