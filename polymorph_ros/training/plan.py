"""What a run would do, and what it would cost: nothing of it is done here."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.data.synthetic import SYNTHETIC_LABELS
from polymorph_ros.errors import PolymorphError
from polymorph_ros.training.artifacts import Artifact, Stage, find, is_begun
from polymorph_ros.training.config import PretrainConfig, TrainConfig
from polymorph_ros.training.context_task import gradient_steps
from polymorph_ros.training.frames import load_about
from polymorph_ros.training.pipeline import Features, adapter_tasks, scout_stage
from polymorph_ros.training.pretrain import small_vit
from polymorph_ros.training.rates import Rates, measure_rates
from polymorph_ros.training.sources import FrameStage, FrameStages, frame_stages
from polymorph_ros.training.stages.backbone import (
    backbone_location,
    backbone_stage,
    preprocessing_of,
    save_weights,
    weights_folder,
)
from polymorph_ros.training.stages.contexts import ContextsStage, load_contexts
from polymorph_ros.training.stages.synthetic import SyntheticStage
from polymorph_ros.training.stages.tokens import TokensStage
from polymorph_ros.training.token_set import TokenFiles

# While contexts are not known yet, a frame is taken to belong to this many of them.
_CONTEXTS_PER_FRAME = 1.5
_FRAME_S = 0.01  # stated, not measured: to render or decode a frame


@dataclass(frozen=True)
class PlannedStage:
    """One stage: whether its result is there, and what is left to do for it.

    Attributes:
        state: "kept", "begun" (a run was stopped in it; the cost is that of the whole) or "to do".
        frames, steps: frames it goes through, gradient steps it takes.
        size: bytes that it writes.
        seconds: how long it takes on this machine, about.
    """

    name: str
    state: str
    frames: int
    steps: int
    size: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """All stages in order; sums are over those that are not kept."""

    stages: tuple[PlannedStage, ...]
    free: int

    @property
    def size(self) -> int:
        """Bytes to be written."""
        return sum(stage.size for stage in self.stages if stage.state != "kept")

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages if stage.state != "kept")

    @property
    def steps(self) -> int:
        return sum(stage.steps for stage in self.stages if stage.state != "kept")


def plan_training(config: TrainConfig, work: Path) -> Plan:
    """Find out what a run with this configuration and work folder would do.

    A few steps of each kind are taken on random data to tell how long they take here.

    Raises:
        PolymorphError: as the run itself would, where that can be told from what there is.
    """
    preprocessing = preprocessing_of(config.backbone)
    planner = _Planner(config, work, preprocessing, frame_stages(config, preprocessing))
    existing = work
    while not existing.exists():
        existing = existing.parent
    return Plan(planner.run(), shutil.disk_usage(existing).free)


class _Planner:
    """Goes through the stages as the pipeline does, as far as their inputs are there."""

    def __init__(
        self, config: TrainConfig, work: Path, preprocessing: Preprocessing, stages: FrameStages
    ) -> None:
        self._config = config
        self._work = work
        self._preprocessing = preprocessing
        self._train = find(stages.train, work)
        if self._train is not None:
            stages = stages.taught(load_about(self._train.folder).vocabulary)
        self._stages = stages
        self._rows: list[PlannedStage] = []

    def run(self) -> tuple[PlannedStage, ...]:
        config = self._config
        self._frames(self._stages.train)
        validation = self._frames(self._stages.validation)
        if self._stages.test is not None:
            self._frames(self._stages.test)
        trunk = self._backbone_stage()
        backbone = find(trunk, self._work) if trunk else None
        with self._weights(backbone) as weights:
            rates = measure_rates(
                config, self._preprocessing, weights, len(self._labels), self._contexts
            )
        count = _count(self._stages.train)
        epochs, batch = 0, 1
        if isinstance(config.backbone, PretrainConfig):
            epochs, batch = config.backbone.epochs, config.backbone.batch_size
        self._add(
            "backbone",
            trunk,
            frames=count if epochs else 0,
            steps=_steps(count, epochs, batch),
            size=rates.backbone_bytes,
            step_s=rates.pretrain_step_s or 0.0,
        )
        train = self._tokens("train", backbone, self._train, count, rates)
        held_out = self._tokens(
            "validation", backbone, validation, _count(self._stages.validation), rates
        )
        contexts = self._group()
        features = None
        if backbone and contexts and self._train and validation and train and held_out:
            features = Features(
                self._preprocessing,
                backbone,
                TokenFiles(self._train, train),
                TokenFiles(validation, held_out),
                contexts,
            )
        self._scout(features, count, rates)
        self._adapters(features, count, rates)
        self._ending(rates)
        return tuple(self._rows)

    @property
    def _labels(self) -> tuple[str, ...]:
        stage = self._stages.train
        return tuple(SYNTHETIC_LABELS) if isinstance(stage, SyntheticStage) else stage.vocabulary

    @property
    def _contexts(self) -> int:
        return min(self._config.contexts.count, len(self._labels))

    def _frames(self, stage: FrameStage) -> Artifact | None:
        if isinstance(stage, SyntheticStage):
            pixels = stage.synthetic.height * stage.synthetic.width
        else:
            pixels = stage.preprocessing.size**2
        count = _count(stage)
        row = 3 * pixels + len(self._labels) + 12
        return self._add(
            stage.name, stage, frames=count, size=count * row, seconds=count * _FRAME_S
        )

    def _backbone_stage(self) -> Stage | None:
        """None while a backbone waits for the frames that it is trained on."""
        if self._train is None and isinstance(self._config.backbone, PretrainConfig):
            return None
        return backbone_stage(self._config, self._preprocessing, self._train)

    @contextmanager
    def _weights(self, backbone: Artifact | None) -> Iterator[Path]:
        """The backbone, or one of random weights and the same shape."""
        if backbone is not None:
            yield weights_folder(backbone)
        elif isinstance(self._config.backbone, PretrainConfig):
            with tempfile.TemporaryDirectory() as scratch:
                save_weights(small_vit(self._config.backbone), Path(scratch))
                yield Path(scratch)
        else:
            location = backbone_location(self._config.backbone)
            if not location.is_dir():
                raise PolymorphError(
                    "a backbone on this machine", "one that has to be downloaded first",
                    where=f"backbone {location}", remedy="train without --dry-run once",
                )  # fmt: skip
            yield location

    def _tokens(
        self,
        part: str,
        backbone: Artifact | None,
        frames: Artifact | None,
        count: int,
        rates: Rates,
    ) -> Artifact | None:
        views = self._config.tokens.augmentations + 1 if part == "train" else 1
        stage = None
        if backbone is not None and frames is not None:
            stage = TokensStage.of(self._config, part, backbone, frames, self._preprocessing)
        row = 2 * int(np.prod(rates.token_shape))
        return self._add(
            f"tokens-{part}",
            stage,
            frames=views * count,
            size=views * count * row,
            seconds=views * count * rates.trunk_frame_s,
        )

    def _group(self) -> Artifact | None:
        stage = None
        if self._train is not None:
            stage = ContextsStage(self._config.contexts, self._train, self._config.seed)
        return self._add("contexts", stage, size=1000)

    def _scout(self, features: Features | None, count: int, rates: Rates) -> None:
        scout, adapters = self._config.scout, self._config.adapters
        deep = scout.rank > 0
        self._add(
            "scout",
            scout_stage(self._config, features) if features else None,
            frames=count,
            steps=_steps(count, scout.epochs, adapters.batch_size if deep else scout.batch_size),
            size=rates.backbone_bytes // 4 + deep * rates.adapter_bytes,
            step_s=rates.scout_step_s + deep * rates.adapter_step_s,
        )

    def _adapters(self, features: Features | None, count: int, rates: Rates) -> None:
        adapters = self._config.adapters
        own = min(count, round(count * _CONTEXTS_PER_FRAME / self._contexts))
        steps = _steps(round(own * (1 + adapters.others)), adapters.epochs, adapters.batch_size)
        names: Sequence[str] = [f"{number + 1}" for number in range(self._contexts)]
        tasks: Sequence[Stage | None] = [None] * len(names)
        all_steps = [steps] * len(names)
        if features is not None:
            names = load_contexts(features.contexts.folder).names
            known = adapter_tasks(self._config, features, self._work)
            tasks, all_steps = known, [gradient_steps(task) for task in known]
        for name, task, steps in zip(names, tasks, all_steps, strict=True):
            self._add(
                f"adapter {name}",
                task,
                steps=steps,
                size=rates.adapter_bytes,
                step_s=rates.adapter_step_s,
            )

    def _ending(self, rates: Rates) -> None:
        """Thresholds, metrics and the bundle: done in every run."""
        count = _count(self._stages.validation)
        if self._stages.test is not None:
            count += _count(self._stages.test)
        parts = rates.backbone_bytes * 5 // 4 + self._contexts * rates.adapter_bytes
        self._add(
            "thresholds and bundle",
            None,
            frames=count,
            size=2 * parts,
            seconds=count * (rates.engine_frame_s * 2),
        )

    def _add(
        self,
        name: str,
        stage: Stage | None,
        *,
        frames: int = 0,
        steps: int = 0,
        size: int = 0,
        seconds: float = 0.0,
        step_s: float = 0.0,
    ) -> Artifact | None:
        kept = find(stage, self._work) if stage else None
        begun = stage is not None and is_begun(stage, self._work)
        state = "kept" if kept else "begun" if begun else "to do"
        seconds += steps * step_s
        self._rows.append(PlannedStage(name, state, frames, steps, size, seconds))
        return kept


def _count(stage: FrameStage) -> int:
    if isinstance(stage, SyntheticStage):
        return stage.sequences * stage.frames
    return stage.frames()


def _steps(frames: int, epochs: int, batch_size: int) -> int:
    return epochs * max(1, frames // batch_size)
