"""The backbones for synthetic traces: ViTs of two widths that know drawn things, but no label."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from parts.synthetic_backbone import synthetic_backbone
from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.model.families import VIT
from polymorph_ros.training.config import PretrainConfig
from polymorph_ros.training.loop import set_up_torch
from polymorph_ros.training.pretrain import small_vit

SIDE = 96  # of pictures, pixels
WIDTH, LARGER_WIDTH = 128, 256
_SEQUENCES, _EPOCHS = 10_000, 5


def foundation(width: int, folder: Path) -> Path:
    """Train the backbone of a width into a folder below this one, unless it is there."""
    set_up_torch(1)
    torch.manual_seed(0)
    config = PretrainConfig(
        hidden_size=width, layers=6, heads=width // 32, patch_size=16, image_size=SIDE, epochs=1
    )
    preprocessing = Preprocessing(size=SIDE, mean=VIT.mean, std=VIT.std)
    place = folder / f"backbone-{width}"
    return synthetic_backbone(small_vit(config), preprocessing, _SEQUENCES, _EPOCHS, place)


if __name__ == "__main__":  # both take long, and can be made side by side
    foundation(int(sys.argv[1]), Path(sys.argv[2]))
