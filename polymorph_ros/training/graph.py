"""The stages of training and their order: the only place that lists them.

    sources ─▶ frames ─▶ contexts ───────────────────┐
                 │                                   ▼
                 └─▶ backbone ─▶ tokens ─▶ common adapter, scout, adapters, unknown scene
                                               │
                                               ▼
    thresholds, and those of one context ─▶ reuse ─▶ operating points ─▶ bundle

A ``Visitor`` is handed every stage as soon as the artifacts that it needs are known. ``pipeline``
runs them, on this machine or a cluster; ``plan`` only looks which are there. Adding to a bundle is
the same walk: stages then leave alone what the old bundle has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from polymorph_ros.bundle.manifest import SingleContextEntry
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.model.gpu import choose_device
from polymorph_ros.training.artifacts import Artifact, GraphStage
from polymorph_ros.training.backbone_choice import check_targets, preprocessing_of
from polymorph_ros.training.config import TrainConfig
from polymorph_ros.training.frames import count_frames, vocabulary_of
from polymorph_ros.training.loop import Schedule
from polymorph_ros.training.sources import FrameStages, frame_stages
from polymorph_ros.training.stages.adapter import AdapterStage, CommonAdapter
from polymorph_ros.training.stages.backbone import backbone_stage
from polymorph_ros.training.stages.bundle import BundleParts
from polymorph_ros.training.stages.contexts import ContextsStage, load_contexts, new_labels
from polymorph_ros.training.stages.deep_scout import DeepScoutStage
from polymorph_ros.training.stages.grown_scout import GrownScoutStage
from polymorph_ros.training.stages.operating_points import OperatingPointsStage
from polymorph_ros.training.stages.reuse import ReuseStage
from polymorph_ros.training.stages.scout import ScoutStage
from polymorph_ros.training.stages.thresholds import ThresholdsStage, compare_contexts
from polymorph_ros.training.stages.tokens import TokensStage
from polymorph_ros.training.stages.unknown_scene import UnknownSceneStage
from polymorph_ros.training.token_set import Features, TokenFiles


class Visitor(Protocol):
    """Someone who is handed the stages in order."""

    def log(self, line: str) -> None:
        """Take a line on what was done."""
        ...

    def make(self, stage: GraphStage) -> Artifact:
        """The stage's artifact; a planned one where nothing is run."""
        ...

    def make_all(self, stages: Sequence[GraphStage]) -> tuple[Artifact, ...]:
        """The same for stages that do not wait for each other."""
        ...


@dataclass(frozen=True)
class Frames:
    """Labelled frames of each part; without a test part, nothing is measured at the end."""

    train: Artifact
    validation: Artifact
    test: Artifact | None


@dataclass(frozen=True)
class Walked:
    """What the walk through all stages led to."""

    frames: Frames
    parts: BundleParts
    thresholds: Artifact
    single_context: SingleContextEntry | None
    reuse: Artifact | None
    operating_points: Artifact | None


class TrainingGraph:
    """The stages of a configuration.

    Args:
        config: what is trained, on what, and how.
        old: the bundle that contexts for new labels are added to, if any.

    Raises:
        PolymorphError: there is no such backbone or device, or the backbone cannot take the
            pictures or the LoRA that are wanted.
    """

    def __init__(self, config: TrainConfig, old: Bundle | None = None) -> None:
        self.config = config
        self.device = str(choose_device(config.device))
        self.preprocessing = preprocessing_of(config.backbone)
        check_targets(config)
        self._old = old
        self._old_artifact = Artifact(old.path, old.checksum) if old else None
        self._known = tuple(label.name for label in old.manifest.labels) if old else ()

    @cached_property
    def sources(self) -> FrameStages:
        """Where frames come from.

        Raises:
            PolymorphError: a source cannot be read, or too little of all of them can be used.
        """
        return frame_stages(self.config, self.preprocessing)

    def walk(self, visitor: Visitor) -> Walked:
        """Hand every stage to a visitor, in order.

        Raises:
            PolymorphError: the data cannot be used, or a stage fails.
        """
        frames = self.frames(visitor)
        features = self.features(frames, visitor)
        common = self.common(frames, features, visitor)
        scout = visitor.make(self.scout(features, common))
        adapters = visitor.make_all(self.adapters(features, common))
        unknown_scene = visitor.make(
            UnknownSceneStage(features, self.config.threads, self._old_artifact)
        )
        parts = BundleParts(
            name=self.config.name,
            description=self.config.description,
            recipe=self.config.recipe,
            notices=self.config.notices,
            features=features,
            scout=scout,
            adapters=adapters,
            unknown_scene=unknown_scene,
            old=self._old_artifact,
        )
        threads = self.config.threads
        thresholds = visitor.make(ThresholdsStage(parts, threads))
        compared = reuse = points = None
        if self._old is None:  # a bundle that is added to keeps its own
            if self.config.contexts.compare and common is not None:
                single = self._single(parts, common, visitor)
                its = visitor.make(ThresholdsStage(single, threads))
                compared = compare_contexts(thresholds, its)
                if compared is not None and compared.used:
                    parts, thresholds = single, its
            reuse = visitor.make(ReuseStage(parts, thresholds, threads))
            points = visitor.make(OperatingPointsStage(parts, thresholds, reuse, threads))
        return Walked(frames, parts, thresholds, compared, reuse, points)

    def _single(self, parts: BundleParts, common: CommonAdapter, visitor: Visitor) -> BundleParts:
        """The same parts with one context of all labels; its scout needs no LoRA of its own."""
        config, features = self.config, replace(parts.features, contexts=common.contexts)
        scout = ScoutStage(config.scout, features, config.seed, config.threads)
        return replace(
            parts,
            features=features,
            scout=visitor.make(scout),
            adapters=(common.adapter,),
        )

    def frames(self, visitor: Visitor) -> Frames:
        """Frames of all parts, with the labels that the training frames turned out to have."""
        train = visitor.make(self.sources.train)
        sources = self.sources.narrowed(vocabulary_of(train))
        validation = visitor.make(sources.validation)
        test = visitor.make(sources.test) if sources.test else None
        counts = count_frames(train), count_frames(validation)
        visitor.log(f"{counts[0]} training and {counts[1]} validation frames")
        return Frames(train, validation, test)

    def features(self, frames: Frames, visitor: Visitor) -> Features:
        """Contexts, backbone and tokens: what scout and adapters learn from."""
        contexts = visitor.make(self._contexts(frames.train))
        formed = load_contexts(contexts)
        for index, name in enumerate(formed.names):
            visitor.log(f"context {name}: {', '.join(formed.labels_of(index))}")
        backbone = visitor.make(
            backbone_stage(self.config, self.preprocessing, frames.train, self.device)
        )
        train = visitor.make(self.tokens("train", backbone, frames.train))
        validation = visitor.make(self.tokens("validation", backbone, frames.validation))
        return Features(
            self.preprocessing,
            backbone,
            TokenFiles(frames.train, train),
            TokenFiles(frames.validation, validation),
            contexts,
            self.device,
        )

    def _contexts(self, frames: Artifact) -> ContextsStage:
        taken = tuple(context.name for context in self._old.manifest.contexts) if self._old else ()
        return ContextsStage(self.config.contexts, frames, self.config.seed, self._known, taken)

    def tokens(self, part: str, backbone: Artifact, frames: Artifact) -> TokensStage:
        """The trunk's tokens of a part; only training frames get more views."""
        config = self.config
        return TokensStage(
            backbone,
            frames,
            part,
            self.preprocessing,
            config.adapters.tail_blocks,
            config.tokens.augmentations_of(count_frames(frames)) if part == "train" else 0,
            config.seed,
            config.threads,
            self.device,
        )

    def scout(
        self, features: Features, common: CommonAdapter | None = None
    ) -> ScoutStage | DeepScoutStage | GrownScoutStage:
        """The stage that trains the scout."""
        config = self.config
        if self._old_artifact is not None:
            labels = new_labels(vocabulary_of(features.train.frames), self._known)
            return GrownScoutStage(
                config.scout, self._old_artifact, features, labels, config.seed, config.threads
            )
        if config.scout.rank:
            same_rank = config.scout.rank == config.adapters.rank
            return DeepScoutStage(
                config.scout,
                config.adapters,
                features,
                config.seed,
                config.threads,
                common if same_rank else None,
            )
        return ScoutStage(config.scout, features, config.seed, config.threads)

    def adapters(
        self, features: Features, common: CommonAdapter | None = None
    ) -> tuple[AdapterStage, ...]:
        """A stage for each context; none waits for another."""
        config = self.config
        return tuple(
            AdapterStage(
                config.adapters, features, index, name, config.seed + index, config.threads, common
            )
            for index, name in enumerate(load_contexts(features.contexts).names)
        )

    def common(self, frames: Frames, features: Features, visitor: Visitor) -> CommonAdapter | None:
        """The adapter of all labels that those of several contexts go on from.

        It takes as many steps as scout and contexts together. A bundle that is added to has none.
        """
        if not self._has_common(features):
            return None
        graph = TrainingGraph(one_lora(self.config, frames, self._context_steps(features)))
        contexts = visitor.make(graph._contexts(frames.train))
        (adapter,) = visitor.make_all(graph.adapters(replace(features, contexts=contexts)))
        return CommonAdapter(contexts, adapter)

    def lora_steps(self, features: Features) -> int:
        """Gradient steps of all LoRAs together: the adapters', the common one's, the scout's."""
        return self._context_steps(features) * (2 if self._has_common(features) else 1)

    def _has_common(self, features: Features) -> bool:
        return self._old is None and len(load_contexts(features.contexts).names) > 1

    def _context_steps(self, features: Features) -> int:
        """Gradient steps of the adapters, and of the scout's LoRA."""
        scout = self.scout(features)
        own = scout.steps() if isinstance(scout, DeepScoutStage) else 0
        return own + sum(stage.steps() for stage in self.adapters(features))


def one_lora(config: TrainConfig, frames: Frames, steps: int, factor: int = 1) -> TrainConfig:
    """The configuration of one adapter for all labels.

    Everything else is the same: backbone, frames, calibration.

    Args:
        config: of a bundle.
        frames: its frames.
        steps: gradient steps of all LoRAs of the bundle together; up to half an epoch is lost.
        factor: of the rank: 1, or the number of contexts for the size of all adapters.
    """
    labels, own = vocabulary_of(frames.train), config.adapters
    per_epoch = Schedule.of(own, config.seed).per_epoch(count_frames(frames.train))
    adapters = own.model_copy(
        update={
            "rank": own.rank * factor,
            "alpha": own.alpha * factor,
            "others": 1.0,
            "epochs": max(1, round(steps / per_epoch)),
        }
    )
    contexts = config.contexts.model_copy(update={"count": 1, "labels_per_context": len(labels)})
    return config.model_copy(update={"adapters": adapters, "contexts": contexts})
