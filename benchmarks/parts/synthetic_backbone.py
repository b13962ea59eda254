"""A small ViT that has learned to see synthetic things, but none of the labels it is used for.

It learns to name outline, pattern and colours of things whose looks belong to no label, in the
picture and in each patch: what pretraining is to real pictures.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import ViTConfig, ViTModel

from parts.traced import TracedPictures
from parts.traced.look import look_of
from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.data.track import Track
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.training.loop import Schedule, fit

_WORLD = "pretraining"
_NAMES, _FRAMES = 4, 4  # things and frames of a sequence
_GROUPS = (10, 6, 8, 8, 2, 2)  # outlines, patterns, two hues, brightness, waves
_PAIRS = 128 + 60  # hues with brightness, outline with pattern


def synthetic_backbone(
    start: ViTModel, preprocessing: Preprocessing, sequences: int, epochs: int, folder: Path
) -> Path:
    """Train a ViT and save it to a folder, unless it is there.

    Args:
        start: where training starts; it is changed.
        preprocessing: how pictures become its input.
        sequences: how many of four pictures each it learns from.
        epochs: how often it sees them.
        folder: where it goes; beside it, the checkpoint of an interrupted run.
    """
    if folder.is_dir():
        return folder
    images, cells, looks = _pictures(sequences, preprocessing.size)
    torch.manual_seed(1)
    model = start.train()
    width = model.config.hidden_size
    patches = model.config.image_size // model.config.patch_size
    whole, patch = nn.Linear(width, _PAIRS), nn.Linear(width, sum(_GROUPS) + 1)
    preprocessor = Preprocessor(preprocessing, "cpu")

    def loss_of(batch: np.ndarray, rng: np.random.Generator) -> Tensor:
        gain = torch.from_numpy(rng.uniform(0.85, 1.15, (len(batch), 3, 1, 1)).astype(np.float32))
        tokens = model(pixel_values=preprocessor.batch(images[batch]) * gain).last_hidden_state
        shares = functional.one_hot(torch.from_numpy(cells[batch]).long(), _NAMES + 1)
        shares = functional.adaptive_avg_pool2d(shares.permute(0, 3, 1, 2).float(), patches)
        shares = shares.flatten(2).transpose(1, 2)
        traits = torch.from_numpy(looks[batch])
        seen = (shares[:, :, 1:].amax(dim=1) > 0).float()[:, :, None]
        pairs = (seen * _pairs(traits)).amax(dim=1)
        named = functional.binary_cross_entropy_with_logits(whole(tokens[:, 0]), pairs)
        return 20.0 * named + _patch_loss(patch(tokens[:, 1:]), shares, traits)

    folder.parent.mkdir(parents=True, exist_ok=True)
    fit(
        "backbone",
        [*model.parameters(), *whole.parameters(), *patch.parameters()],
        loss_of,
        np.arange(len(images)),
        Schedule(epochs, batch_size=64, learning_rate=1e-3, weight_decay=0.05, seed=1),
        folder.with_suffix(".safetensors"),
    )
    model.half().save_pretrained(folder)
    return folder


def _pictures(sequences: int, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures, which thing each cell shows, and the traits of each picture's things."""
    rng = np.random.default_rng(5)
    images, cells, looks = [], [], []
    for index in range(sequences):
        names = tuple(f"{rng.integers(10**9)}" for _ in range(_NAMES))
        truth = np.zeros((_FRAMES, _NAMES), np.int8)
        for row in truth:
            row[rng.choice(_NAMES, rng.integers(1, 4), replace=False)] = 1
        track = Track(truth, np.arange(_FRAMES) * 30.0, f"p{index}")
        made = TracedPictures(track, names, size=(side, side), world=_WORLD, distractors=0)
        images += list(made.read())
        cells += list(made.cells(16))
        looks += [[_traits(name) for name in names]] * _FRAMES
    return np.stack(images), np.stack(cells), np.asarray(looks, dtype=np.int64)


def _traits(name: str) -> tuple[int, ...]:
    look = look_of(f"{_WORLD} {name}")
    first, second = (round(hue * 8) for hue in look.hues)
    bright, fine = int(look.shades[0] > 0.7), int(look.waves > 3)
    return look.outline, look.pattern, first, second, bright, fine


def _pairs(traits: Tensor) -> Tensor:
    """Which joint traits each thing has, (B, things, pairs)."""
    outline, pattern, first, second, bright, _ = traits.unbind(dim=2)
    joint = torch.zeros(*traits.shape[:2], _PAIRS)
    joint.scatter_(2, (first * 16 + second * 2 + bright)[:, :, None], 1.0)
    return joint.scatter_(2, (128 + outline * 6 + pattern)[:, :, None], 1.0)


def _patch_loss(logits: Tensor, shares: Tensor, traits: Tensor) -> Tensor:
    """Whether each patch shows a thing, and its traits where it does."""
    thing = 1.0 - shares[:, :, 0]
    loss = functional.binary_cross_entropy_with_logits(logits[..., -1], thing)
    first = 0
    for group, size in enumerate(_GROUPS):
        wanted = shares[:, :, 1:] @ functional.one_hot(traits[:, :, group], size).float()
        said = functional.log_softmax(logits[..., first : first + size], dim=-1)
        loss = loss - (wanted * said).sum() / thing.sum() / 2.0
        first += size
    return loss


def resized(model: ViTModel, side: int) -> ViTModel:
    """The same model for pictures of another side, pixels: its positions are interpolated."""
    patches = side // model.config.patch_size
    config = ViTConfig(**(model.config.to_dict() | {"image_size": side}))
    other = ViTModel(config, add_pooling_layer=False)
    state = model.state_dict()
    positions = state["embeddings.position_embeddings"]
    had = round((positions.shape[1] - 1) ** 0.5)
    grid = positions[:, 1:].transpose(1, 2).unflatten(2, (had, had))
    grid = functional.interpolate(grid, size=(patches, patches), mode="bicubic").flatten(2)
    state["embeddings.position_embeddings"] = torch.cat(
        [positions[:, :1], grid.transpose(1, 2)], dim=1
    )
    other.load_state_dict(state)
    return other
