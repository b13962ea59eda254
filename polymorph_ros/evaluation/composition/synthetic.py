"""Backbones and adapters with random weights, of the published sizes: speed needs no training."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import ViTConfig, ViTModel

from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.adapter import AdapterWeights, LowRank
from polymorph_ros.model.backbone import Backbone
from polymorph_ros.model.families import VIT

TARGETS = ("q", "v", "fc1", "fc2")
RANK = 8
ALPHA = 16
LABELS = 8


@dataclass(frozen=True)
class Size:
    """The measures of a vision transformer; picture and patch are sides in pixels."""

    width: int
    blocks: int
    heads: int
    picture: int = 224
    patch: int = 16


SIZES = {
    "ViT-Ti": Size(192, 12, 3),
    "ViT-S": Size(384, 12, 6),
    "ViT-B": Size(768, 12, 12),
}


def size_of(name: str) -> Size:
    """The measures of a backbone by name.

    Raises:
        PolymorphError: none has that name.
    """
    if name not in SIZES:
        raise PolymorphError(f"a backbone out of {', '.join(SIZES)}", name)
    return SIZES[name]


def make_backbone(size: Size, device: torch.device, dtype: torch.dtype = torch.float32) -> Backbone:
    """The same random backbone each time."""
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=size.width,
        num_hidden_layers=size.blocks,
        num_attention_heads=size.heads,
        intermediate_size=4 * size.width,
        image_size=size.picture,
        patch_size=size.patch,
    )
    model: nn.Module = ViTModel(config, add_pooling_layer=False)
    return Backbone(model.to(device, dtype), VIT, config)


def room_for(size: Size, device: torch.device) -> int:
    """How many separate models of float32 fit into half of the memory that is free now."""
    model = make_backbone(size, torch.device("cpu")).model
    each = sum(p.numel() * p.element_size() for p in model.parameters())
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // 2 // each
    found = re.search(r"^MemAvailable:\s*(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found.group(1)) * 1024 // 2 // each if found else 1


def adapter_name(index: int) -> str:
    """What PEFT calls the adapter with this index."""
    return f"adapter{index}"


def add_adapters(backbone: Backbone, tail_blocks: int, count: int) -> PeftModel:
    """PEFT's model of a backbone, whose blocks it changes, with ``count`` random adapters."""
    config = LoraConfig(
        r=RANK,
        lora_alpha=ALPHA,
        target_modules=backbone.lora_targets(tail_blocks, TARGETS),
        init_lora_weights=False,  # random B too, so that every adapter does something
    )
    torch.manual_seed(1)
    untyped: Any = backbone.model
    model: PeftModel = get_peft_model(untyped, config, adapter_name=adapter_name(0))
    for index in range(1, count):
        model.add_adapter(adapter_name(index), config)
    return model.requires_grad_(False).eval()


def weights_of(
    model: PeftModel, backbone: Backbone, tail_blocks: int, index: int
) -> AdapterWeights:
    """One of those adapters as the bank takes it, with a random head."""
    name = adapter_name(index)
    updates = {}
    for module_name in backbone.lora_targets(tail_blocks, TARGETS):
        place = backbone.family.locate(module_name)
        assert place is not None, "the name is the family's own"
        layer: Any = model.get_base_model().get_submodule(module_name)
        updates[place[0] - (backbone.num_blocks - tail_blocks), place[1]] = LowRank(
            layer.lora_A[name].weight.detach(), layer.lora_B[name].weight.detach(), ALPHA / RANK
        )
    generator = torch.Generator().manual_seed(index)
    weight = torch.randn(LABELS, backbone.hidden_size, generator=generator) * 0.02
    return AdapterWeights(updates, weight, torch.zeros(LABELS))
