"""Train a small backbone from scratch on the training frames; afterwards it is frozen.

Beside the labels of the whole picture (read from the class token) it learns to name what each
patch shows, where that is known: the renderer of scenes knows it for free, and it teaches a vision
transformer much faster than the labels alone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import ViTConfig, ViTModel

from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.training.config import PretrainConfig
from polymorph_ros.training.frames import LabelledFrames
from polymorph_ros.training.loop import Indices, Schedule, fit
from polymorph_ros.training.losses import known_bce


def pretrain_backbone(
    config: PretrainConfig,
    frames: LabelledFrames,
    preprocessor: Preprocessor,
    *,
    seed: int,
    checkpoint: Path,
) -> ViTModel:
    """Train a ViT on the frames."""
    torch.manual_seed(seed)
    labels = frames.truth.shape[1]
    device = preprocessor.device
    model = small_vit(config).train()
    nn.Module.to(model, device)
    picture_head = nn.Linear(config.hidden_size, labels).to(device)
    patch_head = nn.Linear(config.hidden_size, labels + 1).to(device)
    side = config.image_size // config.patch_size

    def loss_of(batch: Indices, rng: np.random.Generator) -> Tensor:
        cells = (
            None if frames.patches is None else torch.from_numpy(frames.patches[batch]).to(device)
        )
        pixels, cells = _augment(preprocessor.batch(frames.images[batch]), cells, rng)
        tokens = model(pixel_values=pixels).last_hidden_state
        truth = torch.from_numpy(frames.truth[batch]).to(device)
        picture = known_bce(picture_head(tokens[:, 0]), truth)
        if cells is None:
            return picture
        wanted = patch_shares(cells, side, labels)
        named = functional.cross_entropy(
            patch_head(tokens[:, 1:]).flatten(0, 1), wanted.flatten(0, 1)
        )
        return picture + config.patch_loss * named

    parameters = [*model.parameters(), *picture_head.parameters(), *patch_head.parameters()]
    fit(
        "backbone",
        parameters,
        loss_of,
        np.arange(len(frames)),
        Schedule.of(config, seed),
        checkpoint,
    )
    return model.cpu()


def small_vit(config: PretrainConfig) -> ViTModel:
    """A vision transformer with random weights."""
    return ViTModel(vit_config(config), add_pooling_layer=False)


def vit_config(config: PretrainConfig) -> ViTConfig:
    """Its shape, as transformers describes it."""
    return ViTConfig(
        hidden_size=config.hidden_size,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=4 * config.hidden_size,
        image_size=config.image_size,
        patch_size=config.patch_size,
    )


def patch_shares(cells: Tensor, side: int, labels: int) -> Tensor:
    """Which share of each patch shows which label.

    Args:
        cells: uint8 (B, rows, columns), label index + 1 or 0.
        side: patches per side.

    Returns:
        float (B, side * side, labels + 1); the rows sum to 1, column 0 is the background.
    """
    shares = functional.one_hot(cells.long(), labels + 1).permute(0, 3, 1, 2).float()
    return functional.adaptive_avg_pool2d(shares, side).flatten(2).transpose(1, 2)


def _augment(
    pixels: Tensor, cells: Tensor | None, rng: np.random.Generator
) -> tuple[Tensor, Tensor | None]:
    """Mirror half of the pictures; change brightness, contrast and colour a little."""
    count, device = len(pixels), pixels.device
    mirrored = torch.from_numpy(rng.random(count) < 0.5).to(device)
    pixels = torch.where(mirrored[:, None, None, None], pixels.flip(3), pixels)
    if cells is not None:
        cells = torch.where(mirrored[:, None, None], cells.flip(2), cells)
    gain = torch.from_numpy(rng.uniform(0.85, 1.15, (count, 3, 1, 1)).astype(np.float32))
    shift = torch.from_numpy(rng.uniform(-0.15, 0.15, (count, 1, 1, 1)).astype(np.float32))
    return pixels * gain.to(device) + shift.to(device), cells
