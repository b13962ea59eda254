"""Stages that train the baselines without LoRA, each kept and continued like those of a bundle.

What a stage leaves: a head, with or without a backbone, and ``logits.npy``, the raw logits of all
validation frames.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from polymorph_ros.bundle.manifest import HEAD_FILE, Preprocessing
from polymorph_ros.evaluation.baselines.files import OWN_BACKBONE
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.training.artifacts import CHECKPOINT_FILE, Artifact
from polymorph_ros.training.config import AdaptersConfig
from polymorph_ros.training.frames import load_frames
from polymorph_ros.training.loop import Indices, Schedule, fit, set_up_torch
from polymorph_ros.training.losses import known_bce
from polymorph_ros.training.stages.backbone import save_weights, weights_folder
from polymorph_ros.training.token_set import TokenFiles, TokenSet

LOGITS_FILE = "logits.npy"
_BATCH = 256
# A whole backbone that has learned something already wants smaller steps than a new LoRA.
_FULL_RATE = 0.1


@dataclass(frozen=True)
class LinearProbeStage:
    """A head on the frozen backbone's own feature."""

    config: AdaptersConfig
    backbone: Artifact
    train: TokenFiles
    validation: TokenFiles
    contexts: Artifact
    seed: int
    threads: int

    @property
    def name(self) -> str:
        return "baseline-linear-probe"

    def write(self, folder: Path) -> None:
        set_up_torch(self.threads)
        train = self.train.load(self.contexts)
        features = torch.from_numpy(self._features(train))
        torch.manual_seed(self.seed)
        head = nn.Linear(features.shape[1], train.truth.shape[1])

        def loss_of(batch: Indices, rng: np.random.Generator) -> Tensor:
            return known_bce(head(features[batch]), torch.from_numpy(train.truth[batch]))

        fit(
            "linear probe",
            head.parameters(),
            loss_of,
            np.arange(len(train)),
            Schedule.of(self.config, self.seed),
            folder / CHECKPOINT_FILE,
        )
        _save_head(head, folder)
        held_out = torch.from_numpy(self._features(self.validation.load(self.contexts)))
        with torch.inference_mode():
            np.save(folder / LOGITS_FILE, head(held_out).numpy())

    def _features(self, data: TokenSet) -> NDArray[np.float32]:
        backbone = load_backbone(weights_folder(self.backbone))
        with torch.inference_mode():
            return np.concatenate(
                [
                    backbone.tail(_batch(data, first), self.config.tail_blocks).numpy()
                    for first in range(0, len(data), _BATCH)
                ]
            )


def _batch(data: TokenSet, first: int) -> Tensor:
    return torch.from_numpy(data.plain(slice(first, first + _BATCH)).astype(np.float32))


@dataclass(frozen=True)
class FullFinetuneStage:
    """Every weight of the backbone, and a head."""

    config: AdaptersConfig
    backbone: Artifact
    preprocessing: Preprocessing
    train: Artifact
    validation: Artifact
    seed: int
    threads: int

    @property
    def name(self) -> str:
        return "baseline-full-finetune"

    def write(self, folder: Path) -> None:
        set_up_torch(self.threads)
        frames, held_out = load_frames(self.train.folder), load_frames(self.validation.folder)
        truth = np.asarray(frames.truth)
        preprocessor = Preprocessor(self.preprocessing, "cpu")
        backbone = load_backbone(weights_folder(self.backbone))
        backbone.model.requires_grad_(True)
        torch.manual_seed(self.seed)
        head = nn.Linear(backbone.hidden_size, truth.shape[1])
        blocks = self.config.tail_blocks
        schedule = Schedule.of(self.config, self.seed)

        def logits_of(images: NDArray[np.uint8]) -> Tensor:
            pixels = preprocessor.batch(np.ascontiguousarray(images))
            logits: Tensor = head(backbone.tail(backbone.trunk(pixels, blocks), blocks))
            return logits

        def loss_of(batch: Indices, rng: np.random.Generator) -> Tensor:
            return known_bce(logits_of(frames.images[batch]), torch.from_numpy(truth[batch]))

        fit(
            "whole backbone",
            [*backbone.model.parameters(), *head.parameters()],
            loss_of,
            np.arange(len(frames)),
            replace(schedule, learning_rate=_FULL_RATE * schedule.learning_rate),
            folder / CHECKPOINT_FILE,
        )
        with torch.inference_mode():
            logits = [
                logits_of(held_out.images[first : first + _BATCH]).numpy()
                for first in range(0, len(held_out), _BATCH)
            ]
        np.save(folder / LOGITS_FILE, np.concatenate(logits))
        _save_head(head, folder)
        save_weights(backbone.model, folder / OWN_BACKBONE)


def _save_head(head: nn.Linear, folder: Path) -> None:
    tensors = {"weight": head.weight.detach().contiguous(), "bias": head.bias.detach().contiguous()}
    save_file(tensors, folder / HEAD_FILE)
