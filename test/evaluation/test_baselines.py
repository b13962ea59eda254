"""Pins trained baselines: how long they are trained, what each answers, and that all run together.

The training is over in seconds, so nothing is said about accuracy.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from helpers.labelled_video import noise_dataset
from helpers.quick_training import QUICK
from helpers.tiny import tiny_backbone_folder
from helpers.tiny_siglip import write_tiny_siglip
from polymorph_ros.bundle.reader import Bundle, read_bundle
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.baselines.scorer import Scorer
from polymorph_ros.evaluation.baselines.table import (
    METHODS,
    baselines_beside,
    method_names,
    weights_of,
)
from polymorph_ros.evaluation.baselines.train import train_baselines
from polymorph_ros.evaluation.baselines.trained import read_trained
from polymorph_ros.evaluation.baselines.zero_shot import sentence_of
from polymorph_ros.evaluation.replay import measure
from polymorph_ros.evaluation.session import Outcome, Request, evaluate
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.training.config import TrainConfig
from polymorph_ros.training.pipeline import train_bundle

TRAINED = {
    "lora",
    "lora_same_size",
    "linear_probe",
    "selective_probe",
    "attentive_probe",
    "ml_decoder",
    "early_exit",
    "full_finetune",
}
UNTRAINED = {"siglip2_zero_shot"}


@pytest.fixture(scope="module", params=["vit", "efficientnet_lite"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A trained bundle with its baselines beside it, of a transformer and of convolutions."""
    root = tmp_path_factory.mktemp("baselines")
    backbone = QUICK["backbone"]
    if request.param != "vit":
        backbone = {"folder": tiny_backbone_folder(root / "backbone", request.param)}
    config = TrainConfig.model_validate(QUICK | {"backbone": backbone})
    trained = train_bundle(config, root / "quick", root / "work", measure, lambda _: None).bundle
    folder = baselines_beside(trained.path)
    labels = [label.name for label in trained.manifest.labels]
    siglip2 = write_tiny_siglip(root / "siglip2", [sentence_of(label) for label in labels])
    train_baselines(
        *(weights_of("all", folder), config, trained, folder, root / "work", lambda _: None),
        siglip2=str(siglip2),
    )
    return trained


@pytest.fixture(scope="module")
def outcome(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Every method over the same frames."""
    methods = method_names("all", baselines_beside(bundle.path))
    out = tmp_path_factory.mktemp("evaluated") / "out"
    labels = tuple(label.name for label in bundle.manifest.labels)
    request = Request(bundle.path, "noise", methods, out, device="cpu", memory=False)
    return evaluate(request, noise_dataset(labels, sequences=2), lambda _: None)


def test_all_baselines_take_as_many_steps(bundle: Bundle) -> None:
    texts = {
        name: read_trained(baselines_beside(bundle.path) / name, bundle).text for name in TRAINED
    }

    assert len({text.steps for text in texts.values()}) == 1
    zero_shot = read_trained(baselines_beside(bundle.path) / "siglip2_zero_shot", bundle).text
    assert (zero_shot.steps, zero_shot.parameters) == (0, 0)
    size = len(bundle.manifest.contexts)
    adapters = sum(
        tensor.numel()
        for index in range(size)
        for tensor in load_file(bundle.adapter_folder(index) / "adapter_model.safetensors").values()
    )
    same = load_file(baselines_beside(bundle.path) / "lora_same_size/adapter_model.safetensors")
    assert sum(tensor.numel() for tensor in same.values()) == adapters
    ranks = [
        json.loads((baselines_beside(bundle.path) / name / "adapter_config.json").read_text())["r"]
        for name in ("lora", "lora_same_size")
    ]
    assert ranks == [2, 2 * size]


def test_a_lora_baseline_is_a_plain_peft_adapter_and_scores_as_peft_does(bundle: Bundle) -> None:
    folder = baselines_beside(bundle.path) / "lora"
    pixels = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    backbone = load_backbone(bundle.backbone_location)
    PeftModel.from_pretrained(backbone.model, folder)
    head = load_file(folder / "head.safetensors")
    with torch.inference_mode():
        pooled = backbone.tail(backbone.trunk(pixels, 2), 2)
        expected = torch.sigmoid(pooled[0] @ head["weight"].T + head["bias"]).numpy()

    scorer = Scorer(read_trained(folder, bundle), bundle, torch.device("cpu"))

    assert np.abs(scorer.scores(scorer.trunk(pixels)) - expected).max() < 1e-4


def test_every_method_runs_beside_the_others(bundle: Bundle, outcome: Outcome) -> None:
    missing = {name for name in METHODS if name not in {one.method for one in outcome.metrics}}
    larger = (baselines_beside(bundle.path) / "larger_backbone").is_dir()
    assert missing == (set() if larger else {"larger_backbone"})
    for one in outcome.metrics:
        assert one.frames == 80
        assert 0 <= one.mean_ap <= 1
        (first, *_) = outcome.logs[one.method]
        assert np.isfinite(first.scores).all()
        assert ((first.scores >= 0) & (first.scores <= 1)).all()


def test_adapters_that_are_not_composed_score_the_same(outcome: Outcome) -> None:
    for method in ("switched_specialists", "merged_lora", "peft_mixed_batch"):
        for mine, other in zip(outcome.logs["polymorph"], outcome.logs[method], strict=True):
            assert np.abs(mine.scores - other.scores).max() < 1e-4


def test_baselines_run_one_adapter_or_none(outcome: Outcome) -> None:
    adapters = {one.method: one.cover.adapters_per_frame for one in outcome.metrics}

    for method in ("all_label_lora", "all_label_lora_same_size", "all_label_lora_belief"):
        assert adapters[method] == 1.0
    for method in ("linear_probe", "full_finetune", "ml_decoder", "early_exit"):
        assert adapters[method] == 0.0
    assert adapters["restricted_head"] <= 1.0


def test_a_restricted_head_says_nothing_outside_the_cover(outcome: Outcome) -> None:
    for plain, restricted in zip(
        outcome.logs["all_label_lora"], outcome.logs["restricted_head"], strict=True
    ):
        kept = restricted.scores > 0
        assert np.allclose(restricted.scores[kept], plain.scores[kept], atol=1e-5)


def test_all_are_those_whose_baseline_is_trained(tmp_path: Path) -> None:
    names = method_names("all", tmp_path)

    assert "polymorph_no_gating" in names
    assert not any(METHODS[name].weights for name in names)


def test_only_what_is_needed_is_trained(tmp_path: Path) -> None:
    def needed(compare: str) -> list[str]:
        return [one.name for one in weights_of(compare, tmp_path)]

    assert set(needed("all")) == set(needed("")) == TRAINED | UNTRAINED | {"larger_backbone"}
    assert needed("frame_skip,all_adapters,all_label_lora") == ["lora"]


def test_a_baseline_that_was_not_trained_is_asked_for_in_vain(
    bundle: Bundle, tmp_path: Path
) -> None:
    request = Request(
        bundle.path, "noise", ("polymorph", "linear_probe"), tmp_path / "out",
        baselines=tmp_path / "none", device="cpu", memory=False,
    )  # fmt: skip
    labels = tuple(label.name for label in bundle.manifest.labels)

    with pytest.raises(PolymorphError, match="--train-baselines"):
        evaluate(request, noise_dataset(labels, sequences=1), lambda _: None)


def test_baselines_of_another_vocabulary_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    file = baselines_beside(bundle.path) / "linear_probe" / "baseline.json"
    text = json.loads(file.read_text())
    text["labels"][0] = "unheard of"
    (tmp_path / "baseline.json").write_text(json.dumps(text))

    with pytest.raises(PolymorphError, match="for another"):
        read_trained(tmp_path, read_bundle(bundle.path))
