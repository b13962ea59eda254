"""From a configuration to a bundle, stage after stage.

frames -> backbone -> tokens -> contexts -> scout -> adapters -> unknown scene -> thresholds ->
reuse -> bundle. Each stage keeps its artifact (``artifacts.py``), so a run continues where
it has to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from polymorph_ros.bundle.manifest import Preprocessing, ReuseEntry
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.contexts.cooccurrence import Cooccurrence, cooccurrence
from polymorph_ros.contexts.presence import true_presence
from polymorph_ros.contexts.statistics import Dynamics, dynamics
from polymorph_ros.data.dataset import Fault
from polymorph_ros.data.track import Track
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.meter import open_meter
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.runtime.engine import Engine
from polymorph_ros.runtime.knowledge import EvidenceWeights, Knowledge
from polymorph_ros.runtime.thresholds import Thresholds
from polymorph_ros.training.artifacts import Artifact, disk_full_as_error, make, sole_use
from polymorph_ros.training.baselines import baselines
from polymorph_ros.training.config import TrainConfig
from polymorph_ros.training.context_task import ContextTask, gradient_steps
from polymorph_ros.training.frames import LabelledFrames, load_about, load_frames
from polymorph_ros.training.loop import set_up_torch
from polymorph_ros.training.rehearsal import rehearse
from polymorph_ros.training.score_replay import store_scores
from polymorph_ros.training.sources import frame_stages
from polymorph_ros.training.stages.backbone import backbone_stage, preprocessing_of, weights_folder
from polymorph_ros.training.stages.bundle import Parts, assemble
from polymorph_ros.training.stages.contexts import Contexts, ContextsStage, load_contexts
from polymorph_ros.training.stages.deep_scout import DeepScoutStage
from polymorph_ros.training.stages.reuse import learn_reuse
from polymorph_ros.training.stages.scout import ScoutStage
from polymorph_ros.training.stages.thresholds import (
    choose_thresholds,
    choose_weights,
    first_thresholds,
)
from polymorph_ros.training.stages.tokens import TokensStage, make_tokens
from polymorph_ros.training.stages.unknown_scene import FALSE_ALARMS, UnknownSceneStage
from polymorph_ros.training.token_set import TokenFiles
from polymorph_ros.training.workers import HERE, Say, Workers

Measure = Callable[[Engine, LabelledFrames], Mapping[str, float]]


@dataclass(frozen=True)
class Trained:
    """What a run wrote, and what it could not use.

    Attributes:
        bundle: as it is on disk now.
        left_out: labels, rows, files and pictures that nothing was learned from, and why.
        baselines: metrics of others that were trained as long, by name; only where asked for.
    """

    bundle: Bundle
    left_out: tuple[Fault, ...]
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Features:
    """What scout and adapters learn from, as stages kept it."""

    preprocessing: Preprocessing
    backbone: Artifact
    train: TokenFiles
    validation: TokenFiles
    contexts: Artifact


def train_bundle(
    config: TrainConfig,
    out: Path,
    work: Path,
    measure: Measure,
    say: Say,
    *,
    compare: bool = False,
    workers: Workers = HERE,
) -> Trained:
    """Train a bundle and write it.

    Args:
        config: what is trained, on what, and how.
        out: the bundle's folder; one that is there is replaced at the end.
        work: where stages keep what they made.
        measure: metrics of an engine on the held-out test sequences, for the manifest.
        say: takes a line on what was done.
        compare: also train and measure one adapter for all labels, in two sizes.
        workers: who computes tokens and trains adapters.

    Raises:
        PolymorphError: the data cannot be used, or the disk is full.
    """
    with sole_use(work), disk_full_as_error(work):
        trained, features = _train(config, out, work, measure, say, workers)
        if not compare:
            return trained
        tasks = adapter_tasks(config, features, work)
        metrics = {}
        steps = lora_steps(config, features, tasks)
        for baseline in baselines(config, tasks, steps, len(trained.bundle.manifest.labels)):
            say(f"for comparison: {baseline.name}")
            other, _ = _train(baseline.config, work / "baseline", work, measure, say, workers)
            metrics[baseline.name] = other.bundle.manifest.metrics
        return replace(trained, baselines=metrics)


def _train(
    config: TrainConfig, out: Path, work: Path, measure: Measure, say: Say, workers: Workers
) -> tuple[Trained, Features]:
    set_up_torch(config.threads)
    preprocessing = preprocessing_of(config.backbone)
    stages = frame_stages(config, preprocessing)
    train = make(stages.train, work, say)
    stages = stages.taught(load_about(train.folder).vocabulary)
    validation = make(stages.validation, work, say)
    features = make_features(config, train, validation, preprocessing, work, say, workers)
    contexts = load_contexts(features.contexts.folder)
    for index, name in enumerate(contexts.names):
        say(f"context {name}: {', '.join(contexts.labels_of(index))}")
    scout = make(scout_stage(config, features), work, say)
    tasks = adapter_tasks(config, features, work)
    adapters = tuple(kept.folder for kept in workers.run(tasks, work, say))

    tracks = load_frames(features.train.frames.folder).tracks()
    parts = Parts(
        config.name,
        config.description,
        preprocessing,
        config.adapters.tail_blocks,
        contexts,
        weights_folder(features.backbone),
        adapters,
        scout.folder,
        dynamics(tracks),
        context_dynamics(tracks, contexts),
        context_cooccurrence(tracks, contexts),
        make(unknown_scene_stage(config, features), work, say),
        config.recipe,
        EvidenceWeights(),
    )
    kept = [features.train.frames, features.validation.frames]
    parts, thresholds = tuned(parts, features, work)
    parts = replace(parts, reuse=choose_reuse(parts, thresholds, features, work))
    metrics = {"mean_ap_floor": config.mean_ap_floor}
    if stages.test is not None:
        kept.append(make(stages.test, work, say))
        draft = assemble(parts, thresholds, {}, work / "draft")
        metrics |= measure(engine_of(draft), load_frames(kept[-1].folder))
    bundle = assemble(parts, thresholds, metrics, out)
    unread = [fault for one in kept for fault in load_about(one.folder).faults]
    return Trained(bundle, (*stages.faults, *unread)), features


def make_features(
    config: TrainConfig,
    train: Artifact,
    validation: Artifact,
    preprocessing: Preprocessing,
    work: Path,
    say: Say,
    workers: Workers = HERE,
) -> Features:
    """Backbone, tokens and contexts for the frames of both parts."""
    counts = [len(load_frames(part.folder)) for part in (train, validation)]
    say(f"{counts[0]} training and {counts[1]} validation frames")
    backbone = make(backbone_stage(config, preprocessing, train), work, say)

    def tokens(part: str, frames: Artifact) -> TokenFiles:
        stage = TokensStage.of(config, part, backbone, frames, preprocessing)
        return TokenFiles(frames, make_tokens(stage, work, workers, say))

    return Features(
        preprocessing,
        backbone,
        tokens("train", train),
        tokens("validation", validation),
        make(ContextsStage(config.contexts, train, config.seed), work, say),
    )


def scout_stage(config: TrainConfig, features: Features) -> ScoutStage | DeepScoutStage:
    """The stage that trains the scout."""
    if config.scout.rank:
        return DeepScoutStage(
            config.scout,
            config.adapters,
            features.backbone,
            features.train,
            features.validation,
            features.contexts,
            config.seed,
            config.threads,
        )
    return ScoutStage(
        config.scout,
        features.train,
        features.validation,
        features.contexts,
        config.seed,
        config.threads,
    )


def unknown_scene_stage(config: TrainConfig, features: Features) -> UnknownSceneStage:
    """The stage that learns what scenes look like to the trunk."""
    return UnknownSceneStage(features.train, features.validation, FALSE_ALARMS, config.threads)


def adapter_tasks(config: TrainConfig, features: Features, work: Path) -> tuple[ContextTask, ...]:
    """A task for each context; none waits for another."""
    return tuple(
        ContextTask(
            config.adapters,
            features.backbone,
            features.train,
            features.validation,
            features.contexts,
            index,
            name,
            config.seed + index,
            config.threads,
            work,
        )
        for index, name in enumerate(load_contexts(features.contexts.folder).names)
    )


def lora_steps(config: TrainConfig, features: Features, tasks: Sequence[ContextTask]) -> int:
    """Gradient steps of all LoRAs of a bundle together: its adapters', and the scout's own."""
    scout = scout_stage(config, features)
    own = scout.steps() if isinstance(scout, DeepScoutStage) else 0
    return own + sum(gradient_steps(task) for task in tasks)


def context_dynamics(tracks: list[Track], contexts: Contexts) -> Dynamics:
    """How contexts come and go."""
    members = contexts.members
    return dynamics([Track(true_presence(track, members), track.stamps_s) for track in tracks])


def context_cooccurrence(tracks: list[Track], contexts: Contexts) -> Cooccurrence:
    """Which context a label comes with."""
    return cooccurrence(tracks, contexts.labels, contexts.members)


def tuned(parts: Parts, features: Features, work: Path) -> tuple[Parts, Thresholds]:
    """What the policy needs to know, chosen by replaying it on the validation frames."""
    frames = load_frames(features.validation.frames.folder)
    count = len(parts.contexts.vocabulary)
    draft = assemble(parts, first_thresholds(count), {}, work / "draft")
    stored = store_scores(PolymorphModel.from_bundle(draft, "cpu"), frames)
    knowledge = Knowledge.of(draft.manifest)
    weights = choose_weights(stored, knowledge)
    thresholds = choose_thresholds(stored, replace(knowledge, weights=weights), np.arange(count))
    return replace(parts, weights=weights), thresholds


def choose_reuse(
    parts: Parts, thresholds: Thresholds, features: Features, work: Path
) -> ReuseEntry | None:
    """When a result may be reused, by what the engine finds in the validation frames."""
    frames = load_frames(features.validation.frames.folder)
    engine = engine_of(assemble(parts, thresholds, {}, work / "draft"))
    active = np.zeros(frames.truth.shape, dtype=np.bool_)
    for row, result in zip(active, rehearse(engine, frames), strict=True):
        row[:] = result.active_mask
    return learn_reuse(frames, active, parts.preprocessing)


def engine_of(bundle: Bundle) -> Engine:
    """An engine on the CPU that measures no energy."""
    model = PolymorphModel.from_bundle(bundle, "cpu")
    return Engine(model, bundle.manifest, EnergyLedger(open_meter("none")))
