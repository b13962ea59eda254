"""What a run would do, and what it would cost: nothing of it is done here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import free_bytes
from polymorph_ros.training.artifacts import Artifact, GraphStage, Planned, find, is_begun, planned
from polymorph_ros.training.backbone_choice import location_of
from polymorph_ros.training.config import BackboneConfig, PretrainConfig, TrainConfig
from polymorph_ros.training.cost import StageCost
from polymorph_ros.training.frame_cost import slow_frames
from polymorph_ros.training.frames import count_frames, vocabulary_of
from polymorph_ros.training.graph import TrainingGraph
from polymorph_ros.training.pretrain import small_vit
from polymorph_ros.training.rates import measure_rates
from polymorph_ros.training.sources import SourceNotes
from polymorph_ros.training.stages.backbone import save_weights, weights_folder
from polymorph_ros.training.stages.contexts import load_contexts

State = Literal["done", "begun", "to do"]


@dataclass(frozen=True)
class PlannedStage:
    """One stage: whether its artifact is there, and what it costs.

    Attributes:
        state: begun: a run was stopped in it; the cost is that of the whole stage.
    """

    name: str
    state: State
    cost: StageCost


@dataclass(frozen=True)
class Plan:
    """All stages in order; sums are over those that are not done.

    Attributes:
        free: bytes that are free on the disk.
        notes: how the sources were read.
        warning: that frames would take long; None where they would not.
    """

    stages: tuple[PlannedStage, ...]
    free: int
    notes: SourceNotes
    warning: str | None

    @property
    def left(self) -> StageCost:
        """What is left to do, in all."""
        costs = [stage.cost for stage in self.stages if stage.state != "done"]
        return StageCost(
            sum(cost.frames for cost in costs),
            sum(cost.steps for cost in costs),
            sum(cost.size for cost in costs),
            sum(cost.seconds for cost in costs),
        )


def plan_training(config: TrainConfig, work: Path) -> Plan:
    """Find out what a run with this configuration and work folder would do.

    A few steps of each kind are taken on random data to see how long they take here.

    Raises:
        PolymorphError: as the run itself would, where that can be seen from what there is.
    """
    graph, finder = TrainingGraph(config), _Finder(work)
    walked = graph.walk(finder)
    parts, frames = walked.parts, walked.frames
    labels = len(vocabulary_of(frames.train))
    contexts = len(load_contexts(parts.features.contexts).names)
    with _weights(config.backbone, parts.features.backbone) as weights:
        rates = measure_rates(config, graph.preprocessing, weights, labels, contexts)
    stages = [PlannedStage(stage.name, state, stage.cost(rates)) for stage, state in finder.found]
    tested = count_frames(frames.test) if frames.test else 0
    size, seconds = parts.cost(rates).size, tested * rates.engine_frame_s
    stages.append(PlannedStage("bundle", "to do", StageCost(tested, 0, size, seconds)))
    warning = slow_frames(config, graph.preprocessing.size, graph.device)
    return Plan(tuple(stages), free_bytes(work), graph.sources.notes, warning)


@dataclass(frozen=True)
class _Finder:
    """Looks which artifacts are there (a visitor of the graph)."""

    work: Path
    found: list[tuple[GraphStage, State]] = field(default_factory=list)

    def log(self, line: str) -> None:
        """Nothing is done."""

    def make(self, stage: GraphStage) -> Artifact:
        """The artifact that is there, or a planned one."""
        artifact = find(stage, self.work)
        begun = is_begun(stage, self.work)
        self.found.append((stage, "done" if artifact else "begun" if begun else "to do"))
        return artifact or planned(stage, self.work)

    def make_all(self, stages: Sequence[GraphStage]) -> tuple[Artifact, ...]:
        """The same for each."""
        return tuple(self.make(stage) for stage in stages)


@contextmanager
def _weights(config: BackboneConfig, backbone: Artifact) -> Iterator[Path]:
    """The backbone's checkpoint, or one of random weights and the same shape."""
    if not isinstance(backbone, Planned):
        yield weights_folder(backbone)
    elif isinstance(config, PretrainConfig):
        with tempfile.TemporaryDirectory() as scratch:
            save_weights(small_vit(config), Path(scratch))
            yield Path(scratch)
    else:
        location = Path(location_of(config)[0])
        if not location.is_dir():
            raise PolymorphError(
                "a backbone on this machine", "one that has to be downloaded first",
                where=f"backbone {location}", remedy="train without --dry-run once",
            )  # fmt: skip
        yield location
