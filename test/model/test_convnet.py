"""Convolutional backbones: their LoRA maps, folded batch norms, shared work, and what is refused.

Pins: names of targets; that LoRA of a folded convolution has the batch norm's gain; that the base
of the first expansion is computed once for all adapters, and that costs are what is computed.
That composed tails equal PEFT's is pinned in ``test_tails.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import ResNetConfig, ResNetModel

from helpers.tiny import (
    CONV_FAMILIES,
    HIDDEN_SIZE,
    AdapterSpec,
    random_pixels,
    targets_of,
    tiny_backbone,
    tiny_backbone_folder,
    write_tiny_adapter,
    write_tiny_head,
)
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.composition.count import multiply_adds
from polymorph_ros.model.adapter import read_adapter
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.bank import AdapterBank
from polymorph_ros.model.tails import ComposedTails

LITE = "efficientnet_lite"


@pytest.mark.parametrize(
    ("family", "names"),
    [
        (LITE, ["_blocks.3._expand_conv", "_blocks.3._project_conv", "_conv_head"]),
        ("convnextv2", [f"encoder.stages.1.layers.1.pwconv{i}" for i in (1, 2)]),
    ],
)
def test_the_targets_of_the_last_block_are_its_pointwise_maps_and_the_head(
    backbone_folders: dict[str, Path], family: str, names: list[str]
) -> None:
    assert load_backbone(backbone_folders[family]).lora_targets(1) == names


def test_a_block_without_expansion_has_none_to_adapt(backbone_folders: dict[str, Path]) -> None:
    backbone = load_backbone(backbone_folders[LITE])

    names = backbone.lora_targets(backbone.num_blocks, ["expand"])

    assert names == [f"_blocks.{block}._expand_conv" for block in (1, 2, 3)]


def test_lora_on_a_depthwise_convolution_is_refused_with_the_targets_there_are(
    backbone_folders: dict[str, Path], tmp_path: Path
) -> None:
    backbone = load_backbone(backbone_folders[LITE])
    config = LoraConfig(r=36, target_modules=["_blocks.3._depthwise_conv"])
    get_peft_model(backbone.model, config).save_pretrained(tmp_path)
    write_tiny_head(tmp_path, 2)

    with pytest.raises(
        PolymorphError, match=r"LoRA on expand, project, head of a .*Lite.*_depthwise_conv"
    ):
        read_adapter(tmp_path, load_backbone(backbone_folders[LITE]), 2)
    with pytest.raises(PolymorphError, match="expand, project, head, .* found depthwise"):
        load_backbone(backbone_folders[LITE]).lora_targets(2, ["depthwise"])


def test_unknown_blocks_are_refused_with_those_that_are_known(tmp_path: Path) -> None:
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1])
    ResNetModel(config).save_pretrained(tmp_path)

    with pytest.raises(
        PolymorphError,
        match=r"inverted bottlenecks: mobilenet_v2, efficientnet, .*ConvNeXt blocks.*'resnet'",
    ):
        load_backbone(tmp_path)


def test_a_statistic_that_is_not_a_number_is_refused(tmp_path: Path) -> None:
    folder = tiny_backbone_folder(tmp_path, LITE)
    tensors = load_file(folder / "model.safetensors")
    tensors["_bn1.running_var"][3] = float("nan")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(PolymorphError, match="NaN or infinity in _bn1.running_var"):
        load_backbone(folder)


def test_a_maximum_instead_of_the_mean_is_refused(tmp_path: Path) -> None:
    folder = tiny_backbone_folder(tmp_path, "efficientnet")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"pooling_type": "max"}))

    with pytest.raises(PolymorphError, match="expected pooling_type mean, found 'max'"):
        load_backbone(folder)


def test_an_update_of_a_folded_map_has_the_gain_of_its_batch_norm(tmp_path: Path) -> None:
    backbone = tiny_backbone(tmp_path / "backbone", LITE)
    spec = AdapterSpec(targets=("head",), rank=2)
    folder = write_tiny_adapter(tmp_path / "adapter", tmp_path / "backbone", 1, spec)

    update = read_adapter(folder, backbone, 1).updates[0, "head"]

    stored = load_file(folder / "adapter_model.safetensors")
    up = stored["base_model.model._conv_head.lora_B.weight"][:, :, 0, 0]
    norm = backbone.model.get_submodule("_bn1")
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()
    torch.testing.assert_close(update.up, gain[:, None] * up)


@pytest.mark.parametrize("family", CONV_FAMILIES)
def test_each_further_adapter_costs_what_is_counted(family: str, tmp_path: Path) -> None:
    """So the base's first expansion is computed once: counted costs leave it out."""
    backbone = tiny_backbone(tmp_path / "backbone", family)
    spec = AdapterSpec(targets=targets_of(family), rank=2)
    folder = write_tiny_adapter(tmp_path / "adapter", tmp_path / "backbone", 2, spec)
    bank = AdapterBank([read_adapter(folder, backbone, 2)] * 4, 2, "cpu")
    tails = ComposedTails(backbone, 2)
    with torch.inference_mode():
        tokens = backbone.trunk(random_pixels(), 2)

        four, three = (
            multiply_adds(lambda count=count: tails(tokens, bank.select(range(count))))
            for count in (4, 3)
        )

    works = tails.work(tokens.shape[1])
    updates = sum(
        works[block].rows[target] * (change.down.numel() + change.up.numel())
        for (block, target), change in bank.adapter(0).maps.items()
    )
    assert four - three == sum(work.own for work in works) + updates
    assert bank.adapter(0).head.weight.shape[1] == HIDDEN_SIZE
