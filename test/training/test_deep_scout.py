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
from polymorph_ros.training.context_task import gradient_steps
from polymorph_ros.training.pipeline import (
    Features,
    adapter_tasks,
    lora_steps,
    make_features,
    scout_stage,
)
from polymorph_ros.training.sources import frame_stages
from polymorph_ros.training.stages.backbone import preprocessing_of
from polymorph_ros.training.stages.deep_scout import DeepScoutStage


@pytest.fixture(scope="module")
def config(quick_config: TrainConfig) -> TrainConfig:
    scout = quick_config.scout.model_copy(update={"rank": 2, "epochs": 2})
    return quick_config.model_copy(update={"scout": scout})


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def features(config: TrainConfig, work: Path) -> Features:
    preprocessing = preprocessing_of(config.backbone)
    stages = frame_stages(config, preprocessing)
    train, validation = (make(stage, work) for stage in (stages.train, stages.validation))
    return make_features(config, train, validation, preprocessing, work, lambda line: None)


@pytest.fixture(scope="module")
def stage(config: TrainConfig, features: Features) -> DeepScoutStage:
    made = scout_stage(config, features)
    assert isinstance(made, DeepScoutStage)
    return made


@pytest.fixture(scope="module")
def kept(stage: DeepScoutStage, work: Path) -> Artifact:
    return make(stage, work)


def test_peft_opens_the_scouts_adapter_and_both_together_are_calibrated(
    kept: Artifact, stage: DeepScoutStage, features: Features
) -> None:
    backbone = load_backbone(stage.backbone.folder / "backbone")
    scout = Scout.from_tensors(load_file(kept.folder / "scout.safetensors"))
    PeftModel.from_pretrained(backbone.model, kept.folder / "scout")
    head = load_file(kept.folder / "scout" / "head.safetensors")
    held_out = features.validation.load(features.contexts)

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


def test_baselines_are_given_the_scouts_steps_too(
    config: TrainConfig, quick_config: TrainConfig, features: Features, work: Path
) -> None:
    tasks = adapter_tasks(config, features, work)
    alone = sum(gradient_steps(task) for task in tasks)

    assert lora_steps(quick_config, features, tasks) == alone
    frames = len(features.train.load(features.contexts))
    assert lora_steps(config, features, tasks) == alone + 2 * (frames // 8)
