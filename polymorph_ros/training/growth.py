"""Add contexts for new labels to a bundle; every file of an old adapter stays as it is.

What belongs to the old labels needs their pictures, which may be gone, so it is kept: adapters,
thresholds, dynamics, and the scout's answers for them. What is new is learned from the new data:
contexts of the new labels, their adapters, the scout's new outputs, thresholds and dynamics. A
label that a set of pictures does not judge is unknown there, never absent.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from polymorph_ros.bundle.manifest import (
    HEAD_FILE,
    SCOUT_ADAPTER_FOLDER,
    SCOUT_FILE,
    UNKNOWN_SCENE_FILE,
    FileEntry,
    LabelEntry,
    Manifest,
    UnknownSceneEntry,
)
from polymorph_ros.bundle.reader import Bundle, read_bundle
from polymorph_ros.bundle.writer import write_bundle
from polymorph_ros.contexts.cooccurrence import Cooccurrence
from polymorph_ros.contexts.formation import ContextLimits, form_contexts
from polymorph_ros.contexts.statistics import Dynamics, dynamics
from polymorph_ros.data.track import Track
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.model.tensor_file import read_tensors
from polymorph_ros.model.unknown_scene import FeatureStatistics
from polymorph_ros.runtime.knowledge import Knowledge
from polymorph_ros.runtime.thresholds import Thresholds
from polymorph_ros.training.artifacts import (
    RELIABILITY_FILE,
    SUMS_FILE,
    Artifact,
    disk_full_as_error,
    make,
    sole_use,
)
from polymorph_ros.training.config import (
    RECIPE_FILE,
    BundleBackboneConfig,
    ContextsConfig,
    DataConfig,
    Recipe,
    SourceConfig,
    TrainConfig,
)
from polymorph_ros.training.frames import LabelledFrames, load_about, load_frames
from polymorph_ros.training.loop import set_up_torch
from polymorph_ros.training.pipeline import (
    Features,
    Measure,
    Say,
    Trained,
    adapter_tasks,
    context_cooccurrence,
    context_dynamics,
    engine_of,
)
from polymorph_ros.training.score_replay import store_scores
from polymorph_ros.training.sources import frame_stages
from polymorph_ros.training.stages.backbone import backbone_stage
from polymorph_ros.training.stages.bundle import context_entries, label_entries
from polymorph_ros.training.stages.contexts import (
    Contexts,
    context_names,
    load_contexts,
    save_contexts,
)
from polymorph_ros.training.stages.grown_scout import GrownScoutStage
from polymorph_ros.training.stages.thresholds import choose_thresholds, first_thresholds
from polymorph_ros.training.stages.tokens import TokensStage, make_tokens
from polymorph_ros.training.stages.unknown_scene import (
    FALSE_ALARMS,
    feature_distances,
    trunk_features,
)
from polymorph_ros.training.token_set import TokenFiles
from polymorph_ros.training.workers import HERE, Workers


@dataclass(frozen=True)
class NewContextsStage:
    """Contexts of some of the labels of the training frames.

    Attributes:
        labels: the columns of those labels.
        taken: names that contexts may not have.
    """

    config: ContextsConfig
    frames: Artifact
    labels: tuple[int, ...]
    taken: tuple[str, ...]
    seed: int

    @property
    def name(self) -> str:
        return "contexts"

    def write(self, folder: Path) -> None:
        vocabulary = load_about(self.frames.folder).vocabulary
        tracks = [
            replace(track, truth=np.ascontiguousarray(track.truth[:, list(self.labels)]))
            for track in load_frames(self.frames.folder).tracks()
        ]
        limits = ContextLimits(self.config.count, self.config.labels_per_context)
        groups = form_contexts(tracks, limits, seed=self.seed)
        labels = tuple(tuple(self.labels[label] for label in group) for group in groups)
        names = context_names(labels, vocabulary, self.taken)
        save_contexts(folder, Contexts(vocabulary, names, labels))


@dataclass(frozen=True)
class _Addition:
    """What is put beside the parts of the old bundle."""

    contexts: Contexts
    labels: tuple[int, ...]  # columns of the new data's vocabulary that are new
    adapters: tuple[Path, ...]
    scout: Path
    label_dynamics: Dynamics
    context_dynamics: Dynamics
    cooccurrence: Cooccurrence
    unknown_scene: UnknownSceneEntry | None


def growth_config(bundle: Path, source: SourceConfig) -> TrainConfig:
    """How contexts are added to a bundle: as it was trained itself.

    Raises:
        PolymorphError: it is no sound bundle, or does not say how it was trained.
    """
    manifest = read_bundle(bundle).manifest
    file = bundle / RECIPE_FILE
    try:
        recipe = Recipe.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise PolymorphError(
            "a bundle that says how it was trained",
            "no such file" if isinstance(error, OSError) else "another version's",
            where=str(file),
            remedy="train it again with this version",
        ) from None
    return TrainConfig(
        name=manifest.name,
        description=manifest.description,
        data=DataConfig.model_validate({"sources": (source,)}),
        backbone=BundleBackboneConfig(bundle=bundle),
        **dict(recipe),
    )


def grow_bundle(
    config: TrainConfig,
    bundle: Path,
    work: Path,
    measure: Measure,
    say: Say,
    *,
    workers: Workers = HERE,
) -> Trained:
    """Add contexts for the labels of ``config.data`` that a bundle does not have yet.

    Args:
        config: the new data, and how contexts, scout and adapters are trained; backbone and tail
            blocks are the bundle's.
        bundle: what is added to; it is replaced in one step.
        work: where stages keep what they made.
        measure: metrics of an engine on the new data's test part.
        say: takes a line on what was done.
        workers: who computes tokens and trains adapters.

    Raises:
        PolymorphError: no label is new, the data cannot be used, or the disk is full.
    """
    with sole_use(work), disk_full_as_error(work):
        return _grow(config, read_bundle(bundle), work, measure, say, workers)


def _grow(
    config: TrainConfig, old: Bundle, work: Path, measure: Measure, say: Say, workers: Workers
) -> Trained:
    set_up_torch(config.threads)
    manifest = old.manifest
    config = config.model_copy(
        update={
            "adapters": config.adapters.model_copy(update={"tail_blocks": manifest.tail_blocks})
        }
    )
    stages = frame_stages(config, manifest.preprocessing)
    train = make(stages.train, work, say)
    vocabulary = load_about(train.folder).vocabulary
    labels = _new_labels(vocabulary, manifest)
    say(f"new labels: {', '.join(vocabulary[label] for label in labels)}")
    stages = stages.taught(vocabulary)
    validation = make(stages.validation, work, say)
    features = _features(config, old, train, validation, labels, work, say, workers)
    contexts = load_contexts(features.contexts.folder)
    for index, name in enumerate(contexts.names):
        say(f"new context {name}: {', '.join(contexts.labels_of(index))}")
    scout = make(
        GrownScoutStage(
            config.scout,
            Artifact(old.path, old.checksum),
            features.train,
            features.validation,
            features.contexts,
            labels,
            config.seed,
            config.threads,
        ),
        work,
        say,
    )
    tasks = adapter_tasks(config, features, work)
    tracks = load_frames(train.folder).tracks()
    addition = _Addition(
        contexts,
        labels,
        tuple(kept.folder for kept in workers.run(tasks, work, say)),
        scout.folder,
        dynamics([_columns(track, labels) for track in tracks]),
        context_dynamics(tracks, contexts),
        context_cooccurrence(tracks, contexts),
        _scene(old, features),
    )
    thresholds = _thresholds(old, addition, features, work)
    kept = [train, validation]
    metrics: dict[str, float] = {}
    if stages.test is not None:
        kept.append(make(stages.test, work, say))
        draft = _write(old, addition, thresholds, {}, work / "draft")
        frames = _in_vocabulary(load_frames(kept[-1].folder), vocabulary, draft.manifest)
        metrics = {
            f"added_{name}": value for name, value in measure(engine_of(draft), frames).items()
        }
    bundle = _write(old, addition, thresholds, metrics, old.path)
    unread = tuple(fault for one in kept for fault in load_about(one.folder).faults)
    return Trained(bundle, (*stages.faults, *unread))


def _new_labels(vocabulary: tuple[str, ...], manifest: Manifest) -> tuple[int, ...]:
    known = {label.name for label in manifest.labels}
    labels = tuple(index for index, name in enumerate(vocabulary) if name not in known)
    if not labels:
        raise PolymorphError(
            "labels that the bundle does not have yet",
            f"only {', '.join(vocabulary)}",
            where="the data to add",
            remedy="train a new bundle to learn old labels better",
        )
    return labels


def _features(
    config: TrainConfig,
    old: Bundle,
    train: Artifact,
    validation: Artifact,
    labels: tuple[int, ...],
    work: Path,
    say: Say,
    workers: Workers,
) -> Features:
    preprocessing = old.manifest.preprocessing
    backbone = make(backbone_stage(config, preprocessing, train), work, say)

    def tokens(part: str, frames: Artifact) -> TokenFiles:
        stage = TokensStage.of(config, part, backbone, frames, preprocessing)
        return TokenFiles(frames, make_tokens(stage, work, workers, say))

    taken = tuple(context.name for context in old.manifest.contexts)
    grouping = NewContextsStage(config.contexts, train, labels, taken, config.seed)
    return Features(
        preprocessing,
        backbone,
        tokens("train", train),
        tokens("validation", validation),
        make(grouping, work, say),
    )


def _columns(track: Track, labels: tuple[int, ...]) -> Track:
    return replace(track, truth=np.ascontiguousarray(track.truth[:, list(labels)]))


def _scene(old: Bundle, features: Features) -> UnknownSceneEntry | None:
    """The old statistics with a threshold that the new scenes seldom exceed either."""
    entry = old.manifest.unknown_scene
    if entry is None:
        return None
    frames = trunk_features(features.validation)
    file = old.path / UNKNOWN_SCENE_FILE
    statistics = FeatureStatistics.from_tensors(read_tensors(file), frames.tokens.shape[2], file)
    distances = feature_distances(statistics, frames)
    threshold = max(entry.threshold, float(np.quantile(distances, 1.0 - FALSE_ALARMS)))
    return entry.model_copy(update={"threshold": threshold})


def _thresholds(old: Bundle, addition: _Addition, features: Features, work: Path) -> Thresholds:
    """Thresholds of the new labels on the new validation frames; old labels keep theirs."""
    draft = _write(old, addition, first_thresholds(len(addition.labels)), {}, work / "draft")
    frames = _in_vocabulary(
        load_frames(features.validation.frames.folder), addition.contexts.vocabulary, draft.manifest
    )
    stored = store_scores(PolymorphModel.from_bundle(draft, "cpu"), frames)
    new = np.arange(len(old.manifest.labels), len(draft.manifest.labels))
    chosen = choose_thresholds(stored, Knowledge.of(draft.manifest), new)
    return Thresholds(chosen.on[new], chosen.off[new], chosen.cover[new])


def _in_vocabulary(
    frames: LabelledFrames, vocabulary: tuple[str, ...], manifest: Manifest
) -> LabelledFrames:
    """The same frames with a column for each label of a bundle; unknown where nothing is known."""
    places = {name: column for column, name in enumerate(vocabulary)}
    columns = [places.get(label.name, -1) for label in manifest.labels]
    known: NDArray[np.int8] = np.pad(frames.truth, ((0, 0), (0, 1)), constant_values=-1)
    return replace(frames, truth=known[:, columns])


def _write(
    old: Bundle, addition: _Addition, thresholds: Thresholds, metrics: dict[str, float], out: Path
) -> Bundle:
    manifest = old.manifest
    contexts = addition.contexts
    labels: tuple[LabelEntry, ...] = label_entries(
        tuple(contexts.vocabulary[label] for label in addition.labels),
        addition.label_dynamics,
        thresholds,
    )

    def write_parts(folder: Path) -> None:
        for entry in manifest.files:
            (folder / entry.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(old.path / entry.path, folder / entry.path)
        for name, adapter in zip(contexts.names, addition.adapters, strict=True):
            target = folder / "adapters" / name
            private = shutil.ignore_patterns(SUMS_FILE, RELIABILITY_FILE)
            shutil.copytree(adapter, target, ignore=private)
        shutil.copy(addition.scout / SCOUT_FILE, folder / SCOUT_FILE)
        if manifest.scout_adapter is not None:
            head = Path(SCOUT_ADAPTER_FOLDER, HEAD_FILE)
            shutil.copy(addition.scout / head, folder / head)

    def make_manifest(files: tuple[FileEntry, ...]) -> Manifest:
        return manifest.model_copy(
            update={
                "labels": (*manifest.labels, *labels),
                "contexts": (
                    *manifest.contexts,
                    *context_entries(
                        contexts,
                        addition.context_dynamics,
                        addition.cooccurrence,
                        addition.adapters,
                    ),
                ),
                "unknown_scene": addition.unknown_scene,
                "metrics": manifest.metrics | metrics,
                "files": files,
            }
        )

    return write_bundle(out, write_parts, make_manifest, replace=True)
