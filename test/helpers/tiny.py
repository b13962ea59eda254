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
    DeiTConfig,
    DeiTModel,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    Siglip2VisionConfig,
    Siglip2VisionModel,
    SiglipVisionConfig,
    SiglipVisionModel,
    ViTConfig,
    ViTModel,
)

from polymorph_ros.model.backbone import Backbone, load_backbone

FAMILIES = (
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
IMAGE_SIZE = 32
PATCH_SIZE = 8
HIDDEN_SIZE = 24
HEADS = 2
BLOCKS = 4


def randomise(module: nn.Module, seed: int = 0, scale: float = 0.3) -> None:
    """Fills every parameter with random values, so that none is at a neutral start value."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)


def tiny_backbone_folder(
    folder: Path, family: str = "vit", *, seed: int = 0, dtype: torch.dtype = torch.float32
) -> Path:
    """Writes a backbone of ``BLOCKS`` blocks, random weights; 32 px, 8 px patches."""
    torch.manual_seed(seed)
    common = {
        "hidden_size": HIDDEN_SIZE,
        "num_hidden_layers": BLOCKS,
        "num_attention_heads": HEADS,
        "image_size": IMAGE_SIZE,
        "patch_size": PATCH_SIZE,
    }
    model: nn.Module
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


@dataclass(frozen=True)
class AdapterSpec:
    """What a random adapter is like."""

    targets: tuple[str, ...] = ("q", "v", "fc1", "fc2")
    rank: int = 4
    alpha: int = 8
    rslora: bool = False
    labels: int = 3
    seed: int = 0


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
