"""Pins the training graph: running and planning hand out the same stages in the same order, what
was tuned is an artifact like any other, and a graph that adds to a bundle leaves its labels alone.

Open: what the stages write; each has a test of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from polymorph_ros.bundle.reader import read_bundle
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.replay import measure
from polymorph_ros.training.artifacts import Artifact, GraphStage, planned
from polymorph_ros.training.config import TrainConfig
from polymorph_ros.training.graph import TrainingGraph
from polymorph_ros.training.pipeline import Runner, train_bundle
from polymorph_ros.training.plan import plan_training
from polymorph_ros.training.stages.adapter import AdapterStage


@dataclass(frozen=True)
class Watcher:
    """A runner that notes the names of the stages it is handed."""

    runner: Runner
    names: list[str] = field(default_factory=list)

    def log(self, line: str) -> None:
        self.runner.log(line)

    def make(self, stage: GraphStage) -> Artifact:
        self.names.append(stage.name)
        return self.runner.make(stage)

    def make_all(self, stages: Sequence[GraphStage]) -> tuple[Artifact, ...]:
        self.names.extend(stage.name for stage in stages)
        return self.runner.make_all(stages)


@dataclass(frozen=True)
class Dreamer:
    """A visitor for whom nothing is there."""

    work: Path
    stages: list[GraphStage] = field(default_factory=list)

    def log(self, line: str) -> None:
        pass

    def make(self, stage: GraphStage) -> Artifact:
        self.stages.append(stage)
        return planned(stage, self.work)

    def make_all(self, stages: Sequence[GraphStage]) -> tuple[Artifact, ...]:
        return tuple(self.make(stage) for stage in stages)


@pytest.fixture(scope="module")
def work(quick_config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder after a run, with the bundle beside its artifacts."""
    folder = tmp_path_factory.mktemp("graph")
    train_bundle(quick_config, folder / "bundle", folder, measure, lambda line: None)
    return folder


def test_a_plan_lists_the_stages_that_a_run_makes(quick_config: TrainConfig, work: Path) -> None:
    watcher = Watcher(Runner(work, lambda line: None))

    TrainingGraph(quick_config).walk(watcher)
    plan = plan_training(quick_config, work)

    assert [stage.name for stage in plan.stages] == [*watcher.names, "bundle"]
    assert watcher.names[0] == "frames-train"
    assert watcher.names.index("tokens-train") < watcher.names.index("scout")
    assert watcher.names[-3:] == ["thresholds", "reuse", "operating_points"]


def test_a_plan_of_nothing_counts_steps_as_the_run_takes_them(
    quick_config: TrainConfig, work: Path, tmp_path: Path
) -> None:
    before, after = plan_training(quick_config, tmp_path), plan_training(quick_config, work)

    counted, taken = (
        {stage.name: stage.cost.steps for stage in plan.stages} for plan in (before, after)
    )
    assert counted["backbone"] == taken["backbone"] == 36 // 8
    assert counted["scout"] == taken["scout"] == 36 // 8
    planned, trained = (
        [stage.cost.steps for stage in plan.stages if stage.name.startswith("adapter-")]
        for plan in (before, after)
    )
    assert len(planned) == len(trained)
    assert min(trained) >= 1


def test_another_name_trains_and_tunes_nothing_again(
    quick_config: TrainConfig, work: Path, tmp_path: Path
) -> None:
    made = {folder.name: folder.stat().st_mtime_ns for folder in work.glob("*-*")}
    named = quick_config.model_copy(update={"name": "another"})

    bundle = train_bundle(named, tmp_path / "bundle", work, measure, lambda line: None).bundle

    assert bundle.manifest.name == "another"
    assert {folder.name: folder.stat().st_mtime_ns for folder in work.glob("*-*")} == made
    assert any(name.startswith("thresholds-") for name in made)
    points = bundle.manifest.operating_points
    assert points[0].unlimited and len(points) > 20
    assert all(point.mean_ap is not None for point in points)
    assert min(point.computed for point in points if point.every == 8) < 0.3


def test_adding_to_a_bundle_is_the_same_walk(
    quick_config: TrainConfig, work: Path, tmp_path: Path
) -> None:
    bundle = read_bundle(work / "bundle")
    fewer = bundle.manifest.model_copy(update={"labels": bundle.manifest.labels[:-3]})
    old = replace(bundle, manifest=fewer)
    fresh, growing = Dreamer(tmp_path), Dreamer(tmp_path)

    TrainingGraph(quick_config).walk(fresh)
    TrainingGraph(quick_config, old).walk(growing)

    everything, added = (
        [stage for stage in visitor.stages if not stage.name.startswith("adapter-")]
        for visitor in (fresh, growing)
    )
    # A bundle keeps what was learned on frames of all of its labels.
    names = [stage.name for stage in everything]
    common = names.index("scout") - 1
    assert names.pop(common) == "contexts", "of the common adapter, which needs all labels' frames"
    assert [stage.name for stage in added] == names[:-2]
    assert names[-2:] == ["reuse", "operating_points"]
    assert len(growing.stages) - len(added) == 3, "a context for each new label, at most"
    assert len(fresh.stages) - len(everything) == 7, "six contexts', and the common one"


def test_adapters_of_contexts_go_on_from_one_of_all_labels(
    quick_config: TrainConfig, tmp_path: Path
) -> None:
    visitor = Dreamer(tmp_path)

    TrainingGraph(quick_config).walk(visitor)

    common, *others = [stage for stage in visitor.stages if isinstance(stage, AdapterStage)]
    assert common.common is None
    assert common.steps() == pytest.approx(sum(stage.steps() for stage in others), rel=0.5)
    assert all(stage.common.adapter.stage == common for stage in others)


def test_a_single_context_needs_no_adapter_to_go_on_from(
    quick_config: TrainConfig, tmp_path: Path
) -> None:
    limits = quick_config.contexts.model_copy(update={"count": 1, "labels_per_context": 33})
    visitor = Dreamer(tmp_path)

    TrainingGraph(quick_config.model_copy(update={"contexts": limits})).walk(visitor)

    (only,) = [stage for stage in visitor.stages if isinstance(stage, AdapterStage)]
    assert only.common is None


def test_a_bundle_that_has_all_labels_is_refused_before_anything_is_learned(
    quick_config: TrainConfig, work: Path, tmp_path: Path
) -> None:
    visitor = Dreamer(tmp_path)

    with pytest.raises(PolymorphError, match="labels that the bundle does not have yet"):
        TrainingGraph(quick_config, read_bundle(work / "bundle")).walk(visitor)

    assert {stage.name.partition("-")[0] for stage in visitor.stages} <= {"frames", "contexts"}
