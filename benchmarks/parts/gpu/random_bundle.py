"""A bundle of a DINOv2-S with random weights: what a user's own is like in size."""

from __future__ import annotations

from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import Dinov2Config, Dinov2Model

from polymorph_ros.bundle.manifest import (
    HEAD_FILE,
    BackboneEntry,
    ContextEntry,
    FileEntry,
    LabelEntry,
    Manifest,
    Preprocessing,
)
from polymorph_ros.bundle.writer import write_bundle
from polymorph_ros.evaluation.composition.synthetic import ALPHA, RANK
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.scout import Scout

CONTEXTS, LABELS = 16, 8  # adapters, and labels of each
_TAIL_BLOCKS = 2
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_RATES = {"prior": 0.3, "appear_hz": 0.1, "vanish_hz": 0.2}


def write_random_bundle(folder: Path, *, tiny: bool) -> Path:
    """Write it; returns its folder. Every label is in play in every frame: limit the adapters.

    Args:
        folder: must not exist yet.
        tiny: whether the backbone is a tiny one, for trials.
    """
    width, blocks, heads, side = (24, 3, 2, 28) if tiny else (384, 12, 6, 224)

    def write_parts(place: Path) -> None:
        torch.manual_seed(0)
        config = Dinov2Config(
            hidden_size=width,
            num_hidden_layers=blocks,
            num_attention_heads=heads,
            image_size=side,
            patch_size=14,
        )
        Dinov2Model(config).save_pretrained(place / "backbone")
        _write_adapters(place)
        scout = Scout(width, CONTEXTS * LABELS, CONTEXTS)
        save_file(scout.tensors(), place / "scout.safetensors")

    def make_manifest(files: tuple[FileEntry, ...]) -> Manifest:
        contexts = [f"context{index:02}" for index in range(CONTEXTS)]
        labels = {name: [f"{name}-label{i}" for i in range(LABELS)] for name in contexts}
        return Manifest(
            name="random",
            description="DINOv2-S with random weights, for measuring time",
            backbone=BackboneEntry(source="bundle", name="backbone"),
            preprocessing=Preprocessing(size=side, mean=_MEAN, std=_STD),
            tail_blocks=_TAIL_BLOCKS,
            labels=tuple(
                LabelEntry(name=label, on=0.5, off=0.2, cover=0.01, **_RATES)
                for names in labels.values()
                for label in names
            ),
            contexts=tuple(
                ContextEntry(
                    name=name,
                    labels=tuple(labels[name]),
                    folder=f"adapters/{name}",
                    prior=0.65,
                    appear_hz=0.2,
                    vanish_hz=0.1,
                )
                for name in contexts
            ),
            files=files,
        )

    write_bundle(folder, write_parts, make_manifest)
    return folder


def _write_adapters(place: Path) -> None:
    """An adapter and a head for each context, as PEFT writes them."""
    backbone = load_backbone(place / "backbone")
    config = LoraConfig(
        r=RANK,
        lora_alpha=ALPHA,
        target_modules=backbone.lora_targets(_TAIL_BLOCKS),
        init_lora_weights=False,
    )
    names = [f"context{index:02}" for index in range(CONTEXTS)]
    model = get_peft_model(backbone.model, config, adapter_name=names[0])
    for name in names[1:]:
        model.add_adapter(name, config)
    model.save_pretrained(place / "adapters")
    (place / "adapters" / "README.md").unlink(missing_ok=True)
    for name in names:
        head = {
            "weight": 0.02 * torch.randn(LABELS, backbone.hidden_size),
            "bias": torch.zeros(LABELS),
        }
        save_file(head, place / "adapters" / name / HEAD_FILE)
