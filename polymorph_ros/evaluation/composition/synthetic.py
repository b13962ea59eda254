"""Backbones and adapters with random weights, of the published sizes: speed needs no training."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from torch import nn
from transformers import ConvNextConfig, ViTConfig

from polymorph_ros.bundle.manifest import HEAD_FILE
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.adapter import AdapterWeights, read_adapter
from polymorph_ros.model.backbone import Backbone, random_backbone
from polymorph_ros.model.efficientnet_lite import EfficientNetLiteConfig

RANK = 8
ALPHA = 16
LABELS = 8


@dataclass(frozen=True)
class Size:
    """The measures of a backbone.

    Attributes:
        config: as transformers describes them.
        picture: side of the pictures, pixels.
    """

    config: Any
    picture: int = 224


def vit(width: int, blocks: int, heads: int, picture: int = 224, patch: int = 16) -> Size:
    """The measures of a vision transformer."""
    config = ViTConfig(
        hidden_size=width,
        num_hidden_layers=blocks,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        image_size=picture,
        patch_size=patch,
    )
    return Size(config, picture)


SIZES: Mapping[str, Size] = {
    "ViT-Ti": vit(192, 12, 3),
    "ViT-S": vit(384, 12, 6),
    "ViT-B": vit(768, 12, 12),
    "EfficientNet-Lite0": Size(EfficientNetLiteConfig()),
    "ConvNeXt-T": Size(ConvNextConfig()),
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
    backbone = random_backbone(size.config)
    _enliven(backbone.model)
    return rebuilt(backbone, backbone.model).to(device, dtype)


def rebuilt(backbone: Backbone, model: nn.Module) -> Backbone:
    """A backbone of a model whose weights were changed: what was folded of them is not followed."""
    untyped: Any = model
    return Backbone(model, backbone.family, untyped.config)


def _enliven(model: nn.Module) -> None:
    """Convolutions, batch norms and layer scales about as training leaves them.

    As they are initialised a signal dies in them, and what follows would compute with zeros.
    """
    for part in model.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight)
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_var is not None
            nn.init.uniform_(part.running_var, 0.5, 1.5)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.1)
    for name, weight in model.named_parameters():
        if name.endswith("layer_scale_parameter"):
            nn.init.uniform_(weight, 0.5, 1.5)


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
        target_modules=backbone.lora_targets(tail_blocks),
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
    """One of those adapters as the bank takes it, with a random head.

    Args:
        backbone: the model's twin, to which PEFT did nothing.
    """
    generator = torch.Generator().manual_seed(index)
    weight = torch.randn(LABELS, backbone.hidden_size, generator=generator) * 0.02
    name = adapter_name(index)
    with tempfile.TemporaryDirectory() as scratch:
        model.save_pretrained(scratch, selected_adapters=[name])
        folder = Path(scratch) / name
        save_file({"weight": weight, "bias": torch.zeros(LABELS)}, folder / HEAD_FILE)
        return read_adapter(folder, backbone, tail_blocks)
