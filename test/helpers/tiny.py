"""Tiny parts with random weights, as real files: backbones, PEFT adapters, heads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from torch import nn
from transformers import (
    ConvNextConfig,
    ConvNextModel,
    ConvNextV2Config,
    ConvNextV2Model,
    DeiTConfig,
    DeiTModel,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    DINOv3ConvNextConfig,
    DINOv3ConvNextModel,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    EfficientNetConfig,
    EfficientNetModel,
    MobileNetV2Config,
    MobileNetV2Model,
    Siglip2VisionConfig,
    Siglip2VisionModel,
    SiglipVisionConfig,
    SiglipVisionModel,
    ViTConfig,
    ViTModel,
)

from polymorph_ros.model.backbone import Backbone, load_backbone
from polymorph_ros.model.efficientnet_lite import EfficientNetLiteConfig, EfficientNetLiteModel
from polymorph_ros.model.transformer_blocks import TARGETS

TRANSFORMERS = (
    "vit",
    "deit",
    "dinov2",
    "dinov2_with_registers",
    "dinov2_gated",
    "dinov3",
    "dinov3_gated",
    "siglip",
    "siglip2",
)
CONV_FAMILIES = (
    "mobilenet_v2",
    "efficientnet",
    "efficientnet_lite",
    "convnext",
    "convnextv2",
    "dinov3_convnext",
)
FAMILIES = TRANSFORMERS + CONV_FAMILIES
IMAGE_SIZE = 32
PATCH_SIZE = 8
HIDDEN_SIZE = 24
HEADS = 2
BLOCKS = 4


def randomise(module: nn.Module, seed: int = 0, scale: float = 0.3) -> None:
    """Fills every parameter with random values, so that none is at a neutral start value.

    Batch norms get random statistics, and gains around 1: a signal survives many of them.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in module.modules():
            tensors = dict(part.named_parameters(recurse=False))
            of_batch = isinstance(part, nn.BatchNorm2d)
            if of_batch:
                tensors |= part.named_buffers(recurse=False)
            for name, tensor in tensors.items():
                values = torch.randn(tensor.shape, generator=generator) * scale
                if of_batch and name in ("weight", "running_var"):
                    values = (values + 1).abs()
                tensor.copy_(values)


def tiny_backbone_folder(
    folder: Path, family: str = "vit", *, seed: int = 0, dtype: torch.dtype = torch.float32
) -> Path:
    """Writes a backbone of ``BLOCKS`` blocks, random weights; 32 px, 8 px patches or positions."""
    model: nn.Module
    torch.manual_seed(seed)
    if family in CONV_FAMILIES:
        model = _tiny_conv_model(family)
        randomise(model, seed)
        model.to(dtype).save_pretrained(folder)
        return folder
    common = {
        "hidden_size": HIDDEN_SIZE,
        "num_hidden_layers": BLOCKS,
        "num_attention_heads": HEADS,
        "image_size": IMAGE_SIZE,
        "patch_size": PATCH_SIZE,
    }
    if family == "vit":
        model = ViTModel(ViTConfig(**common, intermediate_size=40), add_pooling_layer=False)
    elif family == "deit":
        model = DeiTModel(DeiTConfig(**common, intermediate_size=40), add_pooling_layer=False)
    elif family in ("dinov2", "dinov2_gated"):
        gated = family == "dinov2_gated"
        model = Dinov2Model(Dinov2Config(**common, mlp_ratio=2, use_swiglu_ffn=gated))
    elif family == "dinov2_with_registers":
        config = Dinov2WithRegistersConfig(**common, mlp_ratio=2, num_register_tokens=3)
        model = Dinov2WithRegistersModel(config)
    elif family in ("dinov3", "dinov3_gated"):
        gated = family == "dinov3_gated"
        config = DINOv3ViTConfig(
            **common, intermediate_size=40, use_gated_mlp=gated, num_register_tokens=2
        )
        model = DINOv3ViTModel(config)
    elif family == "siglip":
        model = SiglipVisionModel(SiglipVisionConfig(**common, intermediate_size=40))
    elif family == "siglip2":
        patches = (common.pop("image_size") // PATCH_SIZE) ** 2
        config = Siglip2VisionConfig(**common, intermediate_size=40, num_patches=patches)
        model = Siglip2VisionModel(config)
    else:
        raise ValueError(f"no tiny backbone of family {family}")
    randomise(model, seed)
    model.to(dtype).save_pretrained(folder)
    return folder


def _tiny_conv_model(family: str) -> nn.Module:
    """``BLOCKS`` blocks (MobileNetV2: always 16), and a feature of ``HIDDEN_SIZE``."""
    widths = (16, HIDDEN_SIZE)
    if family == "efficientnet_lite":
        stages = ((1, 3, 1, 1, 8, 16), (1, 3, 2, 2, 16, 12), (2, 5, 2, 3, 12, 12))
        config = EfficientNetLiteConfig(stages=stages, head=HIDDEN_SIZE, image_size=IMAGE_SIZE)
        return EfficientNetLiteModel(config)
    if family == "efficientnet":
        return EfficientNetModel(
            EfficientNetConfig(
                image_size=IMAGE_SIZE,
                width_coefficient=0.02,
                depth_coefficient=1.0,
                in_channels=[400, 800, 1200],
                out_channels=[800, 1200, 1200],
                kernel_sizes=[3, 5, 3],
                strides=[1, 2, 2],
                num_block_repeats=[1, 1, 2],
                expand_ratios=[1, 2, 3],
                depthwise_padding=[1],
                hidden_dim=HIDDEN_SIZE,
            )
        )
    if family == "mobilenet_v2":
        return MobileNetV2Model(
            MobileNetV2Config(
                image_size=IMAGE_SIZE,
                depth_multiplier=0.02,
                finegrained_output=False,
                expand_ratio=2.0,
            )
        )
    sizes = {"hidden_sizes": list(widths), "depths": [2, 2], "image_size": IMAGE_SIZE}
    if family == "dinov3_convnext":
        return DINOv3ConvNextModel(DINOv3ConvNextConfig(**sizes))
    common = {**sizes, "num_stages": 2, "patch_size": 4}
    if family == "convnext":
        return ConvNextModel(ConvNextConfig(**common))
    return ConvNextV2Model(ConvNextV2Config(**common))


def tiny_backbone(folder: Path, family: str = "vit", *, seed: int = 0) -> Backbone:
    """Writes a tiny backbone and loads it as the product does."""
    return load_backbone(tiny_backbone_folder(folder, family, seed=seed))


def whole_feature(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    """The pooled feature (B, D) by transformers' own forward, of a model or of PEFT's model."""
    kind = model.config.model_type
    if kind == "siglip2_vision_model":
        rows, columns = (side // PATCH_SIZE for side in pixels.shape[2:])
        patches = [_flat_patches(picture) for picture in pixels]
        mask = torch.ones(len(pixels), rows * columns, dtype=torch.int64, device=pixels.device)
        grids = torch.tensor([[rows, columns]] * len(pixels))
        return model(torch.stack(patches), mask, grids).pooler_output
    if kind in CONV_FAMILIES:
        return model(pixels).pooler_output.flatten(1)
    asks = kind in ("vit", "deit", "siglip_vision_model")
    out = model(pixels, **({"interpolate_pos_encoding": True} if asks else {}))
    return out.pooler_output if "siglip" in kind else out.last_hidden_state[:, 0]


def _flat_patches(picture: torch.Tensor) -> torch.Tensor:
    """Patches of one picture, row by row, each flattened as SigLIP 2's image processor does it."""
    _, height, width = picture.shape
    return torch.stack(
        [
            picture[:, y : y + PATCH_SIZE, x : x + PATCH_SIZE].permute(1, 2, 0).flatten()
            for y in range(0, height, PATCH_SIZE)
            for x in range(0, width, PATCH_SIZE)
        ]
    )


def targets_of(family: str) -> tuple[str, ...]:
    """All LoRA targets of a family."""
    if family in ("mobilenet_v2", "efficientnet_lite"):
        return ("expand", "project", "head")
    if family == "efficientnet":
        return ("expand", "squeeze", "excite", "project", "head")
    if family in CONV_FAMILIES:
        return ("fc1", "fc2")
    return TARGETS if "gated" in family else tuple(t for t in TARGETS if t != "gate")


@dataclass(frozen=True)
class AdapterSpec:
    """What a random adapter is like; without targets it has the family's default."""

    targets: tuple[str, ...] | None = None
    rank: int = 4
    alpha: int = 8
    rslora: bool = False
    labels: int = 3
    seed: int = 0


def unlike_specs(family: str = "vit") -> tuple[AdapterSpec, ...]:
    """Three adapters of unlike ranks, targets and numbers of labels, for one bank."""
    first, *rest = targets_of(family)
    return (
        AdapterSpec(rank=1, targets=(first,), labels=2, seed=1),
        AdapterSpec(rank=6, targets=(first, *rest), labels=5, seed=2),
        AdapterSpec(rank=3, targets=tuple(rest), labels=1, seed=3),
    )


def peft_model(folder: Path, tail_blocks: int, spec: AdapterSpec) -> PeftModel:
    """PEFT's model of the backbone in ``folder`` with one adapter, all of its weights random."""
    backbone = load_backbone(folder)
    config = LoraConfig(
        r=spec.rank,
        lora_alpha=spec.alpha,
        use_rslora=spec.rslora,
        target_modules=backbone.lora_targets(tail_blocks, spec.targets),
    )
    model = get_peft_model(backbone.model, config)
    generator = torch.Generator().manual_seed(spec.seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model.eval()


def write_tiny_adapter(
    folder: Path, backbone_folder: Path, tail_blocks: int, spec: AdapterSpec = AdapterSpec()
) -> Path:
    """Writes a random adapter as PEFT writes it, and its head."""
    peft_model(backbone_folder, tail_blocks, spec).save_pretrained(folder)
    write_tiny_head(folder, spec.labels, seed=spec.seed)
    return folder


def write_tiny_head(folder: Path, labels: int, *, dim: int = HIDDEN_SIZE, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed + 1)
    tensors = {
        "weight": torch.randn(labels, dim, generator=generator) * 0.2,
        "bias": torch.randn(labels, generator=generator) * 0.2,
    }
    save_file(tensors, folder / "head.safetensors")


def random_pixels(batch: int = 1, size: int = IMAGE_SIZE, *, seed: int = 0) -> torch.Tensor:
    """Normalised pixels (batch, 3, size, size)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, size, size, generator=generator)
