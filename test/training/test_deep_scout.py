"""Pins a scout with an adapter of its own: a plain PEFT adapter that continues where its training
was broken off, calibrated with the scout, and counted where baselines are given as many steps.

Open: how much more it sees; benchmarks/synthetic_traces.py measures that.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from polymorph_ros.evaluation.metrics.calibration import calibration_error
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.scout import Scout
from polymorph_ros.training.artifacts import Artifact, make
from polymorph_ros.training.config import TrainConfig
from polymorph_ros.training.graph import TrainingGraph
from polymorph_ros.training.pipeline import Runner
from polymorph_ros.training.stages.adapter import TrainableAdapter
from polymorph_ros.training.stages.backbone import weights_folder
from polymorph_ros.training.stages.contexts import load_contexts
from polymorph_ros.training.stages.deep_scout import DeepScoutStage
from polymorph_ros.training.token_set import Features


@pytest.fixture(scope="module")
def config(quick_config: TrainConfig) -> TrainConfig:
    scout = quick_config.scout.model_copy(update={"rank": 2, "epochs": 2})
    return quick_config.model_copy(update={"scout": scout})


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def features(config: TrainConfig, work: Path) -> Features:
    graph, runner = TrainingGraph(config), Runner(work, lambda line: None)
    return graph.features(graph.frames(runner), runner)


@pytest.fixture(scope="module")
def stage(config: TrainConfig, features: Features) -> DeepScoutStage:
    made = TrainingGraph(config).scout(features)
    assert isinstance(made, DeepScoutStage)
    return made


@pytest.fixture(scope="module")
def kept(stage: DeepScoutStage, work: Path) -> Artifact:
    return make(stage, work)


def test_peft_opens_the_scouts_adapter_and_both_together_are_calibrated(
    kept: Artifact, stage: DeepScoutStage, features: Features
) -> None:
    backbone = load_backbone(features.backbone.folder / "backbone")
    scout = Scout.from_tensors(load_file(kept.folder / "scout.safetensors"))
    PeftModel.from_pretrained(backbone.model, kept.folder / "scout")
    head = load_file(kept.folder / "scout" / "head.safetensors")
    held_out = features.load_validation()

    with torch.inference_mode():
        tokens = torch.from_numpy(held_out.plain(slice(None)).astype(np.float32))
        deep = backbone.tail(tokens, 2) @ head["weight"].T + head["bias"]
        labels = scout(tokens)[0]
        scores = (labels + deep[:, : labels.shape[1]]).sigmoid().numpy()

    known = held_out.truth >= 0
    said, seen = scores[known].mean(), (held_out.truth[known] == 1).mean()
    assert said == pytest.approx(seen, abs=0.02)
    assert np.abs(deep.numpy()).max() > 0
    assert calibration_error(scores, held_out.truth) < 0.1


def test_training_that_was_broken_off_ends_with_the_same_scout(
    kept: Artifact, stage: DeepScoutStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(Exception):
        pass

    steps = 0
    step = torch.optim.AdamW.step

    def failing(*words: object, **more: object) -> object:
        nonlocal steps
        steps += 1
        if steps == stage.steps() // 2 + 2:  # in the second epoch, after a checkpoint
            raise Stop
        return step(*words, **more)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", failing)
        with pytest.raises(Stop):
            make(stage, tmp_path)
    assert steps < stage.steps()

    again = make(stage, tmp_path)

    assert again.digest == kept.digest


def test_baselines_are_given_the_steps_of_scout_and_common_adapter_too(
    config: TrainConfig, quick_config: TrainConfig, features: Features
) -> None:
    alone = sum(stage.steps() for stage in TrainingGraph(config).adapters(features))

    assert TrainingGraph(quick_config).lora_steps(features) == 2 * alone
    frames = len(features.load_train())
    assert TrainingGraph(config).lora_steps(features) == 2 * (alone + 2 * (frames // 8))


def test_a_scout_with_an_adapter_takes_its_own_least_steps(
    config: TrainConfig, features: Features
) -> None:
    few = config.adapters.model_copy(update={"least_steps": 1000})
    many = config.scout.model_copy(update={"least_steps": 300})
    plain, patient = (
        TrainingGraph(config.model_copy(update={"adapters": few, "scout": scout}))
        for scout in (config.scout, many)
    )

    assert plain.scout(features).steps() == 2 * (len(features.load_train()) // 8)
    assert patient.scout(features).steps() == 300


def test_a_scout_that_goes_on_from_the_common_adapter_begins_with_its_scores(
    config: TrainConfig, features: Features, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranked = config.adapters.model_copy(update={"rank": 2, "alpha": 4})
    graph, runner = (
        TrainingGraph(config.model_copy(update={"adapters": ranked})),
        Runner(work, print),
    )
    common = graph.common(graph.frames(runner), features, runner)
    stage, alone = (graph.scout(features, start) for start in (common, None))
    held_out = features.load_validation()
    monkeypatch.setattr("polymorph_ros.training.stages.deep_scout.fit_scout", lambda *_: None)

    begun, fresh = (
        each._trained(features.load_train(), work / "none").eval() for each in (stage, alone)
    )

    (own,) = load_contexts(common.contexts).labels
    network = TrainableAdapter(ranked, weights_folder(features.backbone), len(own))
    network.take_over(common.start(range(len(own))))
    np.testing.assert_allclose(
        held_out.outputs(lambda tokens: begun(tokens)[0]), held_out.outputs(network), atol=1e-5
    )
    untouched = held_out.outputs(lambda tokens: fresh(tokens)[0])
    assert np.abs(untouched - held_out.outputs(network)).max() > 0.01
