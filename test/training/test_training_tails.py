"""Pins the tail as it is trained: features and gradients of all tokens, in each family."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model

from helpers.tiny import FAMILIES, HIDDEN_SIZE, random_pixels, tiny_backbone
from polymorph_ros.training.tails import tail_feature


@pytest.mark.parametrize("family", FAMILIES)
def test_the_class_token_alone_gives_the_same_features_and_gradients(
    family: str, tmp_path: Path
) -> None:
    backbone = tiny_backbone(tmp_path, family)
    targets = backbone.lora_targets(2, backbone.family.targets)
    lora = LoraConfig(r=3, lora_alpha=6, target_modules=targets)
    parameters = [p for p in get_peft_model(backbone.model, lora).parameters() if p.requires_grad]
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in parameters:
            parameter.copy_(0.3 * torch.randn_like(parameter))
        tokens = backbone.trunk(random_pixels(5), 2)
    weights = torch.randn(5, HIDDEN_SIZE)

    answers = []
    for feature in (backbone.tail(tokens, 2), tail_feature(backbone, tokens, 2)):
        gradients = torch.autograd.grad((feature * weights).sum(), parameters, allow_unused=True)
        answers.append((feature.detach(), [g for g in gradients if g is not None]))

    (expected, slopes), (found, others) = answers
    assert torch.allclose(found, expected, atol=1e-5)
    assert len(slopes) == len(others)
    for one, other in zip(slopes, others, strict=True):
        assert torch.allclose(one, other, atol=1e-4 * max(1.0, float(one.abs().max())))
