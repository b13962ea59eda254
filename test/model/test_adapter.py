"""Adapters on disk: plain PEFT folders are read as PEFT reads them; what does not fit is refused.

Pins: patterns of rank and alpha, names of transformers 4, half-precision files, and an error
that names file, tensor, expected and found shape for every kind of misfit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor

from helpers.tiny import (
    BLOCKS,
    HIDDEN_SIZE,
    AdapterSpec,
    tiny_backbone,
    write_tiny_adapter,
)
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.adapter import AdapterWeights, read_adapter
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.families import FAMILIES, SIGLIP, VIT
from polymorph_ros.model.family import Family

Tensors = dict[str, Tensor]
Q = "base_model.model.layers.3.attention.q_proj"


@pytest.fixture
def adapter(backbone_folders: dict[str, Path], tmp_path: Path) -> Path:
    """Rank 4 on q and fc1 of the last two blocks of the tiny ViT."""
    spec = AdapterSpec(targets=("q", "fc1"), rank=4, alpha=8)
    return write_tiny_adapter(tmp_path / "adapter", backbone_folders["vit"], 2, spec)


def read(folder: Path, backbone_folder: Path, tail_blocks: int = 2) -> AdapterWeights:
    return read_adapter(folder, load_backbone(backbone_folder), tail_blocks)


def rewrite(path: Path, change: Callable[[Tensors], Any]) -> None:
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def reconfigure(folder: Path, **changes: object) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_peft_folder_is_read(adapter: Path, backbone_folders: dict[str, Path]) -> None:
    stored = load_file(adapter / "adapter_model.safetensors")

    weights = read(adapter, backbone_folders["vit"])

    assert set(weights.updates) == {(0, "q"), (0, "fc1"), (1, "q"), (1, "fc1")}
    assert weights.updates[1, "q"].scaling == 2.0
    torch.testing.assert_close(weights.updates[1, "q"].down, stored[f"{Q}.lora_A.weight"])
    torch.testing.assert_close(weights.updates[1, "q"].up, stored[f"{Q}.lora_B.weight"])
    assert weights.head_weight.shape == (3, HIDDEN_SIZE) and weights.head_bias.shape == (3,)


@pytest.mark.parametrize("rslora", [False, True])
def test_patterns_of_rank_and_alpha_are_read_as_peft_does(tmp_path: Path, rslora: bool) -> None:
    backbone = tiny_backbone(tmp_path / "backbone")
    config = LoraConfig(
        r=4,
        lora_alpha=8,
        use_rslora=rslora,
        target_modules=backbone.lora_targets(2, VIT.targets),
        rank_pattern={"fc1": 2, r"layers\.3\..*_proj": 6},
        alpha_pattern={"layers.2.mlp.fc2": 20, "q_proj": 3},
    )
    model = get_peft_model(backbone.model, config)
    model.save_pretrained(tmp_path / "adapter")
    save_file(
        {"weight": torch.zeros(1, HIDDEN_SIZE), "bias": torch.zeros(1)},
        tmp_path / "adapter" / "head.safetensors",
    )

    weights = read(tmp_path / "adapter", tmp_path / "backbone")

    for (block, target), update in weights.updates.items():
        name = backbone.family.spelling.module_name(BLOCKS - 2 + block, target)
        layer = model.base_model.model.get_submodule(name)
        assert len(update.down) == layer.r["default"]
        assert math.isclose(update.scaling, layer.scaling["default"])
    assert len({len(update.down) for update in weights.updates.values()}) == 3


@pytest.mark.parametrize(
    "family", [f.with_depths((3, 5)) for f in FAMILIES], ids=lambda family: family.name
)
def test_names_of_both_generations_of_transformers_are_understood(family: Family) -> None:
    for spelling in (family.spelling, family.old_spelling):
        for target in (*spelling.targets, *(["head"] if spelling.head else [])):
            module = f"base_model.model.{spelling.module_name(7, target)}"
            assert family.locate(module) == (7, target)


def test_blocks_of_a_text_tower_are_no_targets() -> None:
    assert SIGLIP.locate("vision_model.encoder.layers.1.self_attn.q_proj") == (1, "q")
    assert SIGLIP.locate("text_model.encoder.layers.1.self_attn.q_proj") is None
    assert SIGLIP.locate("head.mlp.fc1") is None


def test_a_half_precision_adapter_becomes_float32(
    adapter: Path, backbone_folders: dict[str, Path]
) -> None:
    path = adapter / "adapter_model.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(path).items()}, path)

    weights = read(adapter, backbone_folders["vit"])

    assert {u.down.dtype for u in weights.updates.values()} == {torch.float32}


def test_an_adapter_of_another_family_is_refused(
    adapter: Path, backbone_folders: dict[str, Path]
) -> None:
    with pytest.raises(PolymorphError, match="DINOv2 backbone.*another backbone"):
        read(adapter, backbone_folders["dinov2"])


def test_an_adapter_on_a_deeper_tail_is_refused(
    adapter: Path, backbone_folders: dict[str, Path]
) -> None:
    with pytest.raises(PolymorphError, match=r"last 1 blocks \(3 to 3\).*of block 2"):
        read(adapter, backbone_folders["vit"], tail_blocks=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.update({f"{Q}.lora_A.weight": torch.zeros(4, 25)}),
            rf"expected tensor {Q}.lora_A.weight of shape \(4, 24\), found shape \(4, 25\)",
        ),
        (
            lambda t: t.update({f"{Q}.lora_B.weight": torch.zeros(24, 3)}),
            rf"expected tensor {Q}.lora_B.weight of shape \(24, 4\), found shape \(24, 3\)",
        ),
        (lambda t: t.pop(f"{Q}.lora_A.weight"), rf"expected tensor {Q}.lora_A.weight, found only"),
        (lambda t: t.pop(f"{Q}.lora_B.weight"), rf"expected tensor {Q}.lora_B.weight, found only"),
        (
            lambda t: t[f"{Q}.lora_A.weight"].fill_(float("nan")),
            rf"expected finite tensor {Q}.lora_A.weight, found NaN",
        ),
        (
            lambda t: t.update({f"{Q}.lora_magnitude_vector": torch.zeros(24)}),
            "expected only lora_A.weight and lora_B.weight, found tensor",
        ),
        (
            lambda t: t.update({"base_model.model.pooler.dense.lora_A.weight": torch.zeros(4, 24)}),
            "is for another backbone or target",
        ),
        (
            lambda t: t.update({f"{Q}.lora_A.weight": torch.zeros(4, 24, dtype=torch.int64)}),
            "of floating point, found torch.int64",
        ),
        (lambda t: t.clear(), "expected LoRA tensors, found an empty file"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(
    adapter: Path,
    backbone_folders: dict[str, Path],
    change: Callable[[Tensors], Any],
    message: str,
) -> None:
    rewrite(adapter / "adapter_model.safetensors", change)

    with pytest.raises(PolymorphError, match=f"adapter_model.safetensors: .*{message}"):
        read(adapter, backbone_folders["vit"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "IA3"}, "expected a LoRA adapter, found peft_type 'IA3'"),
        ({"use_dora": True}, "expected plain LoRA, found use_dora = True"),
        ({"modules_to_save": ["layernorm"]}, "found modules_to_save"),
        ({"bias": "lora_only"}, "expected bias = 'none', found bias = 'lora_only'"),
        ({"r": 0}, "expected ranks of at least 1"),
        ({"r": "four"}, "expected a number r, found 'four'"),
        ({"rank_pattern": {"(": 3}}, "expected regular expressions in rank_pattern"),
        ({"rank_pattern": ["q"]}, "expected an object rank_pattern"),
        ({"lora_alpha": float("inf")}, "expected a number lora_alpha, found inf"),
    ],
)
def test_configurations_that_cannot_be_composed_are_refused(
    adapter: Path, backbone_folders: dict[str, Path], changes: dict[str, object], message: str
) -> None:
    reconfigure(adapter, **changes)

    with pytest.raises(PolymorphError, match=f"adapter_config.json: .*{message}"):
        read(adapter, backbone_folders["vit"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update(weight=torch.zeros(3, 5)), r"weight of shape \(3, 24\), found shape"),
        (
            lambda t: t.update(bias=torch.zeros(2)),
            r"weight of shape \(2, 24\), found shape \(3, 24",
        ),
        (lambda t: t.update(bias=torch.zeros(3, 1)), r"bias of shape \(3,\), found shape \(3, 1\)"),
        (lambda t: t["bias"].fill_(float("inf")), "finite tensor bias"),
        (lambda t: t.pop("bias"), "expected the tensors weight and bias, found weight"),
    ],
)
def test_heads_that_do_not_fit_are_refused(
    adapter: Path,
    backbone_folders: dict[str, Path],
    change: Callable[[Tensors], Any],
    message: str,
) -> None:
    rewrite(adapter / "head.safetensors", change)

    with pytest.raises(PolymorphError, match=f"head.safetensors: .*{message}"):
        read(adapter, backbone_folders["vit"])


@pytest.mark.parametrize(
    "name", ["adapter_config.json", "adapter_model.safetensors", "head.safetensors"]
)
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"\x80garbage")])
def test_a_missing_or_damaged_file_is_refused(
    adapter: Path, backbone_folders: dict[str, Path], name: str, damage: Callable[[Path], Any]
) -> None:
    damage(adapter / name)

    with pytest.raises(PolymorphError, match=name):
        read(adapter, backbone_folders["vit"])
