"""Backbones: trunk and tail together are the whole model; what cannot be served is refused.

Pins: the split at every depth, sizes other than the trained one, half-precision files, LoRA
targets, and the errors. Leaves open: real checkpoints (nothing is downloaded in tests).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, BertConfig, SiglipConfig, SiglipModel

from helpers.tiny import (
    BLOCKS,
    FAMILIES,
    HIDDEN_SIZE,
    IMAGE_SIZE,
    PATCH_SIZE,
    TRANSFORMERS,
    random_pixels,
    randomise,
    tiny_backbone_folder,
    whole_feature,
)
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.backbone import load_backbone


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tail_blocks", range(1, BLOCKS + 1))
def test_trunk_and_tail_are_the_whole_model(
    backbone_folders: dict[str, Path], family: str, tail_blocks: int
) -> None:
    backbone = load_backbone(backbone_folders[family])
    pixels = random_pixels(2)
    whole = AutoModel.from_pretrained(backbone_folders[family]).eval()

    tokens = backbone.trunk(pixels, tail_blocks)
    pooled = backbone.tail(tokens, tail_blocks)

    if family in TRANSFORMERS:
        assert tokens.shape[1] == backbone.prefix_tokens + (IMAGE_SIZE // PATCH_SIZE) ** 2
    assert tokens.shape[2] == backbone.token_size(tail_blocks)
    expected = whole_feature(whole, pixels)
    torch.testing.assert_close(pooled, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_feature_is_the_whole_models_frozen_and_trainable(
    backbone_folders: dict[str, Path], family: str
) -> None:
    backbone = load_backbone(backbone_folders[family])
    pixels = random_pixels(2)

    frozen = backbone.feature(pixels)
    backbone.model.requires_grad_(True)
    trainable = backbone.trainable_feature(pixels)
    trainable.sum().backward()

    expected = whole_feature(AutoModel.from_pretrained(backbone_folders[family]).eval(), pixels)
    torch.testing.assert_close(frozen, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(trainable, expected, rtol=0, atol=1e-5)
    first = next(backbone.model.parameters())
    assert first.grad is not None and first.grad.abs().max() > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_a_size_other_than_the_trained_one_resizes_the_positions(
    backbone_folders: dict[str, Path], family: str
) -> None:
    backbone = load_backbone(backbone_folders[family])
    pixels = random_pixels(size=2 * IMAGE_SIZE)
    whole = AutoModel.from_pretrained(backbone_folders[family]).eval()

    tokens = backbone.trunk(pixels, 1)
    pooled = backbone.tail(tokens, 1)

    expected = whole_feature(whole, pixels)
    torch.testing.assert_close(pooled, expected, rtol=0, atol=1e-5)


def test_a_half_precision_file_is_run_in_float32(tmp_path: Path) -> None:
    folder = tiny_backbone_folder(tmp_path, dtype=torch.float16)

    backbone = load_backbone(folder)

    stored = load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    assert {p.dtype for p in backbone.model.parameters()} == {torch.float32}


def test_it_is_frozen_and_evaluating(backbone_folders: dict[str, Path]) -> None:
    backbone = load_backbone(backbone_folders["vit"])

    tokens = backbone.trunk(random_pixels(), 1)

    assert not any(p.requires_grad for p in backbone.model.parameters())
    assert not backbone.model.training
    assert not tokens.requires_grad


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_lora_targets_name_the_last_blocks_only(
    backbone_folders: dict[str, Path], family: str
) -> None:
    backbone = load_backbone(backbone_folders[family])

    names = backbone.lora_targets(2, ["q", "fc2"])

    modules = [backbone.model.get_submodule(name) for name in names]
    last_two = backbone.tail_modules(2)
    assert len(names) == 4
    assert all(any(m is part for block in last_two for part in block.modules()) for m in modules)


@pytest.mark.parametrize("tail_blocks", [0, -1, BLOCKS + 1])
def test_a_tail_deeper_than_the_model_is_refused(
    backbone_folders: dict[str, Path], tail_blocks: int
) -> None:
    backbone = load_backbone(backbone_folders["vit"])

    with pytest.raises(PolymorphError, match=f"expected 1 to {BLOCKS} tail blocks"):
        backbone.trunk(random_pixels(), tail_blocks)


def test_an_unknown_lora_target_is_refused(backbone_folders: dict[str, Path]) -> None:
    backbone = load_backbone(backbone_folders["vit"])

    with pytest.raises(PolymorphError, match="found gate"):
        backbone.lora_targets(1, ["q", "gate"])


def test_an_unknown_family_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    BertConfig().save_pretrained(tmp_path)

    with pytest.raises(PolymorphError, match="vit, .*dinov2.*found model type 'bert'"):
        load_backbone(tmp_path)


def test_a_folder_without_safetensors_is_refused(tmp_path: Path) -> None:
    folder = tiny_backbone_folder(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")

    with pytest.raises(PolymorphError, match=r"expected config.json and model.safetensors"):
        load_backbone(folder)


def test_a_missing_weight_is_refused(tmp_path: Path) -> None:
    folder = tiny_backbone_folder(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    del tensors["layernorm.bias"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(PolymorphError, match="missing, first layernorm.bias"):
        load_backbone(folder)


def test_a_weight_that_is_not_a_number_is_refused(tmp_path: Path) -> None:
    folder = tiny_backbone_folder(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    tensors["layernorm.bias"][3] = float("nan")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(PolymorphError, match="NaN or infinity in layernorm.bias"):
        load_backbone(folder)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    folder = tiny_backbone_folder(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 48}))

    with pytest.raises(PolymorphError, match="backbone"):
        load_backbone(folder)


def test_of_a_checkpoint_with_two_towers_the_vision_tower_is_loaded(tmp_path: Path) -> None:
    tower = {"hidden_size": HIDDEN_SIZE, "num_attention_heads": 2, "num_hidden_layers": 2}
    vision = tower | {"image_size": IMAGE_SIZE, "patch_size": PATCH_SIZE, "intermediate_size": 40}
    text = tower | {"vocab_size": 10, "bos_token_id": 1, "eos_token_id": 2}
    both = SiglipModel(SiglipConfig(text_config=text, vision_config=vision)).eval()
    randomise(both)
    both.save_pretrained(tmp_path)
    pixels = random_pixels()

    backbone = load_backbone(tmp_path)

    expected = both.vision_model(pixels).pooler_output
    pooled = backbone.tail(backbone.trunk(pixels, 1), 1)
    torch.testing.assert_close(pooled, expected, rtol=0, atol=1e-5)


def test_a_siglip_without_its_pooling_head_is_refused(tmp_path: Path) -> None:
    folder = tiny_backbone_folder(tmp_path, "siglip")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vision_use_head": False}))

    with pytest.raises(PolymorphError, match="expected a pooling head, found vision_use_head"):
        load_backbone(folder)


def test_a_gate_is_a_target_of_gated_mlps_only(backbone_folders: dict[str, Path]) -> None:
    plain = load_backbone(backbone_folders["dinov3"])
    gated = load_backbone(backbone_folders["dinov3_gated"])

    assert gated.lora_targets(1, ["gate"]) == ["model.layer.3.mlp.gate_proj"]
    with pytest.raises(PolymorphError, match="fc1, fc2, which DINOv3 has, found gate"):
        plain.lora_targets(1, ["gate"])


def test_an_absent_hub_name_is_refused_without_asking_the_network() -> None:
    with pytest.raises(PolymorphError, match="hf download nobody/has-this-backbone"):
        load_backbone("nobody/has-this-backbone", download=False)
