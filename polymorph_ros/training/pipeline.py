"""Run the training graph: from a configuration to a bundle, or to a bundle with more labels."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

from pydantic import ValidationError

from polymorph_ros.bundle.reader import Bundle, read_bundle
from polymorph_ros.data.dataset import Fault
from polymorph_ros.errors import PolymorphError
from polymorph_ros.runtime.engine import Engine
from polymorph_ros.training.artifacts import (
    Artifact,
    Log,
    Stage,
    disk_full_as_error,
    make,
    sole_use,
)
from polymorph_ros.training.config import (
    RECIPE_FILE,
    BundleBackboneConfig,
    DataConfig,
    Recipe,
    SourceConfig,
    TrainConfig,
)
from polymorph_ros.training.frame_cost import slow_frames
from polymorph_ros.training.frames import LabelledFrames, load_about, load_frames, vocabulary_of
from polymorph_ros.training.graph import TrainingGraph, Walked
from polymorph_ros.training.loop import set_up_torch
from polymorph_ros.training.sources import SourceNotes
from polymorph_ros.training.stages.bundle import Tuned, assemble, engine_of
from polymorph_ros.training.stages.operating_points import load_points
from polymorph_ros.training.stages.reuse import load_reuse
from polymorph_ros.training.stages.thresholds import load_tuned
from polymorph_ros.training.stages.tokens import TokensStage, make_tokens
from polymorph_ros.training.workers import HERE, Workers

# Of contexts that are added, however few their frames are.
_LEAST_ROWS = 2000
_LEAST_SCOUT_STEPS = 200
_LEAST_ADAPTER_STEPS = 200
_DROPOUT = 0.3  # of what adapters read

Measure = Callable[[Engine, LabelledFrames], Mapping[str, float]]
"""Metrics of an engine on labelled frames, by name."""


@dataclass(frozen=True)
class Trained:
    """What a run wrote, and what it could not use.

    Attributes:
        bundle: as it is on disk now.
        left_out: labels, rows, files and pictures that nothing was learned from, and why.
        notes: how the sources were read.
    """

    bundle: Bundle
    left_out: tuple[Fault, ...]
    notes: SourceNotes


@dataclass(frozen=True)
class Runner:
    """Runs the stages of a graph (its visitor).

    Attributes:
        work: where artifacts are; what is there already is not computed again.
        log: takes a line on what was done.
        workers: who computes tokens and trains adapters.
    """

    work: Path
    log: Log
    workers: Workers = HERE

    def make(self, stage: Stage) -> Artifact:
        """Run a stage here; tokens are shared out."""
        if isinstance(stage, TokensStage):
            return make_tokens(stage, self.work, self.workers, self.log)
        return make(stage, self.work, self.log)

    def make_all(self, stages: Sequence[Stage]) -> tuple[Artifact, ...]:
        """Share stages out to the workers."""
        return self.workers.run(stages, self.work, self.log)


def train_bundle(
    config: TrainConfig,
    out: Path,
    work: Path,
    measure: Measure,
    log: Log,
    *,
    workers: Workers = HERE,
) -> Trained:
    """Train a bundle and write it.

    Args:
        config: what is trained, on what, and how.
        out: the bundle's folder; one that is there is replaced at the end.
        work: where artifacts are.
        measure: metrics on the held-out test sequences, for the manifest.
        log: takes a line on what was done.
        workers: who computes tokens and trains adapters.

    Raises:
        PolymorphError: the data cannot be used, or the disk is full.
    """
    with sole_use(work), disk_full_as_error(work):
        graph = TrainingGraph(config)
        set_up_torch(config.threads, graph.device)
        warning = slow_frames(config, graph.preprocessing.size, graph.device)
        if warning is not None:
            log(f"warning: {warning}")
        return _run(graph, out, measure, Runner(work, log, workers))


def grow_bundle(
    config: TrainConfig,
    bundle: Path,
    work: Path,
    measure: Measure,
    log: Log,
    *,
    workers: Workers = HERE,
) -> Trained:
    """Add contexts for the labels of ``config.data`` that a bundle does not have yet.

    What belongs to the old labels needs their pictures, which may be gone, so it stays: adapters,
    thresholds, dynamics, and the scout's answers for them. A label that a set of pictures does not
    judge is unknown there, never absent.

    Args:
        config: of ``growth_config``.
        bundle: what is added to; it is replaced in one step.
        work, measure, log, workers: as for ``train_bundle``; the metrics are of the new data's
            validation part where there is no test part.

    Raises:
        PolymorphError: no label is new, the data cannot be used, or the disk is full.
    """
    with sole_use(work), disk_full_as_error(work):
        graph = TrainingGraph(config, read_bundle(bundle))
        return _run(graph, bundle, measure, Runner(work, log, workers), prefix="added_")


def validation_frames(config: TrainConfig, labels: tuple[str, ...], work: Path) -> LabelledFrames:
    """The validation frames of a configuration, with the truth of a bundle's labels.

    Raises:
        PolymorphError: the data cannot be used, or the disk is full.
    """
    stage = TrainingGraph(config).sources.narrowed(labels).validation
    made = make(stage, work)
    return load_frames(made.folder).in_vocabulary(vocabulary_of(made), labels)


def growth_config(bundle: Path, source: SourceConfig) -> TrainConfig:
    """How contexts are added to a bundle: as it was trained itself, made fit for few frames.

    Epochs that are right for many thousand frames are a few steps over a hundred, which leave an
    adapter as random as it began. Frames that are held out teach nothing, so only those are that
    thresholds need, from all over the recordings.

    Raises:
        PolymorphError: it is no undamaged bundle, or does not say how it was trained.
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
    enough = {
        "tokens": recipe.tokens.model_copy(update={"least_rows": _LEAST_ROWS}),
        "scout": recipe.scout.model_copy(update={"least_steps": _LEAST_SCOUT_STEPS}),
        "adapters": recipe.adapters.model_copy(
            update={"least_steps": _LEAST_ADAPTER_STEPS, "dropout": _DROPOUT}
        ),
    }
    return TrainConfig(
        name=manifest.name,
        description=manifest.description,
        data=DataConfig.model_validate({"sources": (source,), "split": "blocks", "test": 0.0}),
        backbone=BundleBackboneConfig(bundle=bundle),
        **(dict(recipe) | enough),
    )


def _run(
    graph: TrainingGraph, out: Path, measure: Measure, runner: Runner, prefix: str = ""
) -> Trained:
    set_up_torch(graph.config.threads, graph.device)
    walked = graph.walk(runner)
    tuned = replace(load_tuned(walked.thresholds), single_context=walked.single_context)
    if walked.reuse is not None:
        tuned = replace(tuned, reuse=load_reuse(walked.reuse))
    if walked.operating_points is not None:
        tuned = replace(tuned, operating_points=load_points(walked.operating_points))
    measured = _measured(walked, tuned, measure, runner.work)
    metrics = {f"{prefix}{name}": value for name, value in measured.items()}
    if not prefix:
        metrics = {"mean_ap_floor": graph.config.mean_ap_floor} | metrics
    bundle = assemble(walked.parts, tuned, metrics, out)
    frames = (walked.frames.train, walked.frames.validation, walked.frames.test)
    unread = [fault for part in frames if part for fault in load_about(part.folder).faults]
    return Trained(bundle, (*graph.sources.faults, *unread), graph.sources.notes)


def _measured(walked: Walked, tuned: Tuned, measure: Measure, work: Path) -> Mapping[str, float]:
    """Metrics of a draft of the bundle on the test frames; none where no label is in them.

    Where a bundle is added to, the validation frames do for a test.
    """
    test = walked.frames.test
    if test is None and walked.parts.old is not None:
        test = walked.frames.validation
    if test is None:
        return {}
    draft = assemble(walked.parts, tuned, {}, work / "draft")
    names = tuple(label.name for label in draft.manifest.labels)
    frames = load_frames(test.folder).in_vocabulary(vocabulary_of(test), names)
    metrics = measure(engine_of(draft, walked.parts.features.device), frames)
    shutil.rmtree(draft.path)
    return {name: value for name, value in metrics.items() if isfinite(value)}
