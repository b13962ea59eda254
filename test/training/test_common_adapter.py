"""Pins where adapters of contexts go on from: the LoRA of an adapter of all labels, and the rows
of its head that are theirs.

Open: what that is worth; docs/benchmarks.md has it on real pixels.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from polymorph_ros.training.artifacts import Artifact
from polymorph_ros.training.config import TrainConfig
from polymorph_ros.training.graph import TrainingGraph
from polymorph_ros.training.pipeline import Runner
from polymorph_ros.training.stages.adapter import CommonAdapter, TrainableAdapter
from polymorph_ros.training.stages.backbone import weights_folder
from polymorph_ros.training.stages.contexts import load_contexts
from polymorph_ros.training.token_set import Features


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return Runner(tmp_path_factory.mktemp("work"), lambda line: None)


@pytest.fixture(scope="module")
def graph(quick_config: TrainConfig) -> TrainingGraph:
    return TrainingGraph(quick_config)


@pytest.fixture(scope="module")
def made(graph: TrainingGraph, runner: Runner) -> tuple[Features, CommonAdapter]:
    frames = graph.frames(runner)
    features = graph.features(frames, runner)
    common = graph.common(frames, features, runner)
    assert common is not None
    return features, common


def logits_of(config: TrainConfig, features: Features, adapter: Artifact) -> np.ndarray:
    """Of all labels, by PEFT's own loading of what the stage wrote."""
    head = load_file(adapter.folder / "head.safetensors")
    network = TrainableAdapter(
        config.adapters, weights_folder(features.backbone), len(head["weight"])
    )
    network.peft_model.load_adapter(str(adapter.folder), "default")
    network.head.load_state_dict(head)
    return features.load_validation().outputs(network.eval())


def test_an_adapter_that_takes_over_scores_its_labels_as_the_common_one(
    quick_config: TrainConfig, made: tuple[Features, CommonAdapter]
) -> None:
    features, common = made
    labels = load_contexts(features.contexts).labels[1]
    everything = load_contexts(common.contexts).labels[0]
    before = logits_of(quick_config, features, common.adapter)
    places = [everything.index(label) for label in labels]

    torch.manual_seed(1)
    fresh = TrainableAdapter(quick_config.adapters, weights_folder(features.backbone), len(labels))
    untouched = features.load_validation().outputs(fresh.eval())
    fresh.take_over(common.start(labels))
    after = features.load_validation().outputs(fresh)

    np.testing.assert_allclose(after, before[:, places], atol=1e-4)
    assert np.abs(untouched - after).max() > 0.01


def test_what_a_context_learns_depends_on_where_it_goes_on_from(
    graph: TrainingGraph, runner: Runner, made: tuple[Features, CommonAdapter]
) -> None:
    features, common = made

    alone, further = (runner.make(graph.adapters(features, start)[1]) for start in (None, common))

    weights = [load_file(one.folder / "adapter_model.safetensors") for one in (alone, further)]
    begun = load_file(common.adapter.folder / "adapter_model.safetensors")
    distances = [sum(float((w[key] - begun[key]).norm()) for key in begun) for w in weights]
    assert alone.folder != further.folder
    assert distances[1] < 0.5 * distances[0]
