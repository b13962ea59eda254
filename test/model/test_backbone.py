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
from transformers import AutoModel, BertConfig

from helpers.tiny import BLOCKS, FAMILIES, IMAGE_SIZE, random_pixels, tiny_backbone_folder
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.backbone import load_backbone, tail_forward


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tail_blocks", range(1, BLOCKS + 1))
def test_trunk_and_tail_are_the_whole_model(
    backbone_folders: dict[str, Path], family: str, tail_blocks: int
) -> None:
    backbone = load_backbone(backbone_folders[family])
    pixels = random_pixels(2)
    whole = AutoModel.from_pretrained(backbone_folders[family]).eval()

    tokens = backbone.trunk(pixels, tail_blocks)
    pooled = tail_forward(backbone.tail_modules(tail_blocks), backbone.final_norm, tokens)

    expected = whole(pixels).last_hidden_state[:, 0]
    torch.testing.assert_close(pooled, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_size_other_than_the_trained_one_resizes_the_positions(
    backbone_folders: dict[str, Path], family: str
) -> None:
    backbone = load_backbone(backbone_folders[family])
    pixels = random_pixels(size=2 * IMAGE_SIZE)
    whole = AutoModel.from_pretrained(backbone_folders[family]).eval()
    argument = {} if family.startswith("dinov2") else {"interpolate_pos_encoding": True}

    tokens = backbone.trunk(pixels, 1)
    pooled = tail_forward(backbone.tail_modules(1), backbone.final_norm, tokens)

    expected = whole(pixels, **argument).last_hidden_state[:, 0]
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


@pytest.mark.parametrize("family", FAMILIES)
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

    with pytest.raises(PolymorphError, match="vit, deit, dinov2.*found model type 'bert'"):
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


def test_a_swiglu_backbone_is_refused(tmp_path: Path) -> None:
    folder = tiny_backbone_folder(tmp_path, "dinov2")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"use_swiglu_ffn": True}))

    with pytest.raises(PolymorphError, match="found one with SwiGLU"):
        load_backbone(folder)


def test_an_absent_hub_name_is_refused_without_asking_the_network() -> None:
    with pytest.raises(PolymorphError, match="hf download nobody/has-this-backbone"):
        load_backbone("nobody/has-this-backbone", download=False)
