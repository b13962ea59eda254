"""What a frame costs with the backbones of docs/train.md: the whole frozen network, one picture.

Random weights of the published shapes: they take as long. Median CPU time of one thread, without
preprocessing and adapters; prints the table's rows, with machine and date.

    OMP_NUM_THREADS=1 build/venv/bin/python benchmarks/backbones.py [--runs 15]
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from transformers import (
    ConvNextV2Config,
    Dinov2Config,
    Dinov2WithRegistersConfig,
    DINOv3ConvNextConfig,
    DINOv3ViTConfig,
    MobileNetV2Config,
    SiglipVisionConfig,
    ViTConfig,
)

from polymorph_ros.evaluation.machine import machine_facts
from polymorph_ros.model.backbone import random_backbone
from polymorph_ros.model.efficientnet_lite import EfficientNetLiteConfig
from polymorph_ros.training.rates import computing_s


@dataclass(frozen=True)
class Candidate:
    """A published backbone.

    Attributes:
        name: for the table.
        shape: its transformers configuration.
        sides: of the pictures that it is timed with, pixels.
    """

    name: str
    shape: Any
    sides: tuple[int, int]


_SMALL = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6}
_OF_14_PX = {**_SMALL, "image_size": 518, "patch_size": 14}
_OF_16_PX = (160, 224)

CANDIDATES = (
    Candidate("EfficientNet-Lite0", EfficientNetLiteConfig(), _OF_16_PX),
    Candidate("MobileNetV2 1.0", MobileNetV2Config(), _OF_16_PX),
    Candidate(
        "ConvNeXt V2 atto",
        ConvNextV2Config(hidden_sizes=[40, 80, 160, 320], depths=[2, 2, 6, 2]),
        _OF_16_PX,
    ),
    Candidate(
        "DeiT-Ti",
        ViTConfig(
            hidden_size=192, num_hidden_layers=12, num_attention_heads=3, intermediate_size=768
        ),
        _OF_16_PX,
    ),
    Candidate("DINOv2-S", Dinov2Config(**_OF_14_PX), (154, 224)),
    Candidate(
        "DINOv2-S with registers",
        Dinov2WithRegistersConfig(**_OF_14_PX, num_register_tokens=4),
        (154, 224),
    ),
    Candidate(
        "DINOv3 ViT-S",
        DINOv3ViTConfig(**_SMALL, intermediate_size=1536, num_register_tokens=4),
        _OF_16_PX,
    ),
    Candidate("DINOv3 ConvNeXt-T", DINOv3ConvNextConfig(), _OF_16_PX),
    Candidate("SigLIP 2 B/16", SiglipVisionConfig(image_size=224, patch_size=16), _OF_16_PX),
)


def main() -> None:
    """Print a row for each backbone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15, help="timed runs of each")
    runs = parser.parse_args().runs
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| backbone | million weights | ms a frame, smaller picture | ms a frame, larger |")
    print("|---|---|---|---|")
    for candidate in CANDIDATES:
        backbone = random_backbone(candidate.shape)
        size = sum(weight.numel() for weight in backbone.model.parameters()) / 1e6
        cells = []
        for side in candidate.sides:
            pixels = torch.randn(1, 3, side, side)
            with torch.inference_mode():
                times = [computing_s(partial(backbone.feature, pixels)) for _ in range(runs + 1)]
            cells.append(f"{1e3 * statistics.median(times[1:]):.1f} ({side} px)")
        print(f"| {candidate.name} | {size:.1f} | {' | '.join(cells)} |", flush=True)
    facts = machine_facts(torch.device("cpu"))
    print(f"{facts.cpu}, {facts.threads} thread, load {facts.load}, {facts.date}, random weights")


if __name__ == "__main__":
    main()
