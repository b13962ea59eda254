"""The end of training: put what the stages wrote together to a bundle."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
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
    OverTimeEntry,
    ReuseEntry,
    SingleContextEntry,
)
from polymorph_ros.bundle.reader import Bundle, read_bundle
from polymorph_ros.bundle.writer import write_bundle
from polymorph_ros.contexts.cooccurrence import cooccurrence
from polymorph_ros.contexts.presence import true_presence
from polymorph_ros.contexts.statistics import dynamics
from polymorph_ros.data.track import Track
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.meter import open_meter
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.runtime.engine import Engine
from polymorph_ros.runtime.knowledge import EvidenceWeights
from polymorph_ros.runtime.operating_points import Table
from polymorph_ros.runtime.thresholds import Thresholds
from polymorph_ros.training.artifacts import SUMS_FILE, Artifact
from polymorph_ros.training.config import RECIPE_FILE, Recipe
from polymorph_ros.training.cost import Rates, StageCost
from polymorph_ros.training.frames import load_frames
from polymorph_ros.training.stages.adapter import RELIABILITY_FILE
from polymorph_ros.training.stages.backbone import weights_folder
from polymorph_ros.training.stages.contexts import columns_of, load_contexts, new_labels
from polymorph_ros.training.stages.unknown_scene import load_unknown_scene_entry
from polymorph_ros.training.token_set import Features

_NOTICES = "notices"


@dataclass(frozen=True, kw_only=True)
class BundleParts:
    """Everything of a bundle but what is tuned on it, and its metrics.

    Attributes:
        adapters: one for each context.
        recipe: how it was trained.
        notices: licences and origins of weights and data.
        old: the bundle that the parts are added to, if any; its files stay as they are.
    """

    name: str = field(metadata={"decides": False})
    description: str = field(metadata={"decides": False})
    recipe: Recipe
    notices: tuple[Path, ...] = field(default=(), metadata={"decides": False})
    features: Features
    scout: Artifact
    adapters: tuple[Artifact, ...]
    unknown_scene: Artifact
    old: Artifact | None = None

    @property
    def old_manifest(self) -> Manifest | None:
        """Of the bundle that is added to."""
        return read_bundle(self.old.folder).manifest if self.old else None

    @property
    def labels(self) -> tuple[int, ...]:
        """Columns of the data's vocabulary that the bundle gets: all, or the new ones."""
        old = self.old_manifest
        known = tuple(label.name for label in old.labels) if old else ()
        return new_labels(load_contexts(self.features.contexts).vocabulary, known)

    def cost(self, rates: Rates) -> StageCost:
        """Writing the bundle."""
        adapters = len(self.adapters) * rates.adapter_bytes
        return StageCost(size=rates.backbone_bytes + rates.scout_bytes + adapters)


@dataclass(frozen=True)
class Tuned:
    """What is chosen by replaying the policy.

    Attributes:
        thresholds: of the labels that the parts are for.
        weights: how much of which evidence counts; a bundle that is added to keeps its own.
        over_time: what they rest on; none: not compared, or the old bundle's.
        single_context: whether several contexts pay; none: not compared, or the old bundle's.
        reuse: when a result stands for a later picture; none: never, or as the old bundle has it.
        operating_points: what the governor may trade; none: its default, or the old bundle's.
    """

    thresholds: Thresholds
    weights: EvidenceWeights = field(default_factory=EvidenceWeights)
    over_time: OverTimeEntry | None = None
    single_context: SingleContextEntry | None = None
    reuse: ReuseEntry | None = None
    operating_points: Table | None = None


def assemble(parts: BundleParts, tuned: Tuned, metrics: Mapping[str, float], out: Path) -> Bundle:
    """Write a bundle; one that is there is replaced."""
    return write_bundle(
        out,
        lambda folder: _copy_files(parts, folder),
        lambda files: _manifest(parts, tuned, metrics, files),
        replace=True,
    )


def engine_of(bundle: Bundle, device: str) -> Engine:
    """An engine that measures no energy."""
    model = PolymorphModel.from_bundle(bundle, device)
    return Engine(model, bundle.manifest, EnergyLedger(open_meter("none")))


def _copy_files(parts: BundleParts, folder: Path) -> None:
    """Copy every file into the bundle's folder."""
    if parts.old is None:
        shutil.copytree(weights_folder(parts.features.backbone), folder / "backbone")
        recipe = parts.recipe.model_dump_json(indent=1)
        (folder / RECIPE_FILE).write_text(recipe + "\n", encoding="utf-8")
        for notice in parts.notices:
            (folder / _NOTICES).mkdir(exist_ok=True)
            shutil.copy(notice, folder / _NOTICES)
    else:
        for entry in read_bundle(parts.old.folder).manifest.files:
            (folder / entry.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(parts.old.folder / entry.path, folder / entry.path)
    names = load_contexts(parts.features.contexts).names
    private = shutil.ignore_patterns(SUMS_FILE, RELIABILITY_FILE)
    for name, adapter in zip(names, parts.adapters, strict=True):
        shutil.copytree(adapter.folder, folder / "adapters" / name, ignore=private)
    shutil.copy(parts.scout.folder / SCOUT_FILE, folder)
    scout_adapter = parts.scout.folder / SCOUT_ADAPTER_FOLDER
    if scout_adapter.is_dir():
        shutil.copytree(scout_adapter, folder / SCOUT_ADAPTER_FOLDER, dirs_exist_ok=True)
    statistics = parts.unknown_scene.folder / UNKNOWN_SCENE_FILE
    if statistics.is_file():
        shutil.copy(statistics, folder)


def _manifest(
    parts: BundleParts, tuned: Tuned, metrics: Mapping[str, float], files: tuple[FileEntry, ...]
) -> Manifest:
    """The manifest; where a bundle is added to, its entries come first."""
    labels, contexts = _label_entries(parts, tuned.thresholds), _context_entries(parts)
    unknown_scene = load_unknown_scene_entry(parts.unknown_scene)
    old = parts.old_manifest
    if old is not None:
        return old.model_copy(
            update={
                "labels": (*old.labels, *labels),
                "contexts": (*old.contexts, *contexts),
                "unknown_scene": unknown_scene,
                "metrics": old.metrics | dict(metrics),
                "files": files,
            }
        )
    correlation_s = tuned.weights.correlation_s
    weights = {name: getattr(tuned.weights, name) for name in EvidenceEntry.model_fields}
    scout_adapter = (parts.scout.folder / SCOUT_ADAPTER_FOLDER).is_dir()
    points = tuned.operating_points
    return Manifest(
        name=parts.name,
        description=parts.description,
        backbone=BackboneEntry(source="bundle", name="backbone", revision=None),
        preprocessing=parts.features.preprocessing,
        tail_blocks=parts.recipe.adapters.tail_blocks,
        tail_tokens=parts.recipe.adapters.tail_tokens,
        labels=labels,
        contexts=contexts,
        correlation_s=correlation_s if math.isfinite(correlation_s) else None,
        smoothing_s=tuned.weights.smoothing_s,
        over_time=tuned.over_time,
        single_context=tuned.single_context,
        evidence=EvidenceEntry(**weights),
        scout_adapter=SCOUT_ADAPTER_FOLDER if scout_adapter else None,
        reuse=tuned.reuse,
        operating_points=points.points if points else (),
        operating_points_hz=points.hz if points else 0.0,
        unknown_scene=unknown_scene,
        metrics=dict(metrics),
        files=files,
    )


def _tracks(parts: BundleParts) -> list[Track]:
    return load_frames(parts.features.train.frames.folder).tracks()


def _label_entries(parts: BundleParts, thresholds: Thresholds) -> tuple[LabelEntry, ...]:
    """What the manifest says of labels."""
    vocabulary, labels = load_contexts(parts.features.contexts).vocabulary, parts.labels
    learned = dynamics([columns_of(track, labels) for track in _tracks(parts)])
    return tuple(
        LabelEntry(
            name=vocabulary[label],
            on=round(float(thresholds.on[index]), 4),
            off=round(float(thresholds.off[index]), 4),
            cover=round(float(thresholds.cover[index]), 4),
            prior=float(learned.prior[index]),
            appear_hz=float(learned.appear_hz[index]),
            vanish_hz=float(learned.vanish_hz[index]),
        )
        for index, label in enumerate(labels)
    )


def _context_entries(parts: BundleParts) -> tuple[ContextEntry, ...]:
    """What the manifest says of contexts: how they come and go, and which labels with them."""
    contexts, tracks = load_contexts(parts.features.contexts), _tracks(parts)
    members = contexts.members
    learned = dynamics([Track(true_presence(track, members), track.stamps_s) for track in tracks])
    counted = cooccurrence(tracks, contexts.labels, members)
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
            reliability=_reliability(parts.adapters[index]),
            shares=tuple(shares[index].tolist()),
            label_priors=tuple(priors[index].tolist()),
        )
        for index, name in enumerate(contexts.names)
    )


def _reliability(adapter: Artifact) -> tuple[float, ...]:
    """What the adapter's stage measured."""
    return tuple(json.loads((adapter.folder / RELIABILITY_FILE).read_text(encoding="utf-8")))
