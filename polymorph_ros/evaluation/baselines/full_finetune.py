"""Every weight of the backbone, and a head."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.evaluation.baselines.entry import Entry, Weights
from polymorph_ros.evaluation.baselines.single_frame import single_frame
from polymorph_ros.evaluation.baselines.train import (
    BATCH,
    LOGITS_FILE,
    Inputs,
    fit_baseline,
    save_head,
    train_plain,
)
from polymorph_ros.evaluation.baselines.trained import OWN_BACKBONE, TrainedBaseline
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.training.artifacts import Artifact
from polymorph_ros.training.backbones import save_weights, weights_folder
from polymorph_ros.training.config import AdaptersConfig
from polymorph_ros.training.frames import load_frames
from polymorph_ros.training.loop import Indices, set_up_torch
from polymorph_ros.training.losses import known_bce

# A whole backbone that has learned something already wants smaller steps than a new LoRA.
_RATE = 0.1


@dataclass(frozen=True)
class FullFinetuneStage:
    """Trains on pictures; see ``train.train_plain`` for what it writes."""

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

        def logits_of(images: NDArray[np.uint8]) -> Tensor:
            pixels = preprocessor.batch(np.ascontiguousarray(images))
            logits: Tensor = head(backbone.tail(backbone.trunk(pixels, blocks), blocks))
            return logits

        def loss_of(batch: Indices, rng: np.random.Generator) -> Tensor:
            return known_bce(logits_of(frames.images[batch]), torch.from_numpy(truth[batch]))

        weights = [*backbone.model.parameters(), *head.parameters()]
        fit_baseline(
            *("whole backbone", weights, loss_of, len(frames)),
            *(self.config, self.seed, folder),
            rate=_RATE,
        )
        with torch.inference_mode():
            logits = [
                logits_of(held_out.images[first : first + BATCH]).numpy()
                for first in range(0, len(held_out), BATCH)
            ]
        np.save(folder / LOGITS_FILE, np.concatenate(logits))
        save_head(head, folder)
        save_weights(backbone.model, folder / OWN_BACKBONE)


def _train(inputs: Inputs, target: Path) -> TrainedBaseline:
    features = inputs.features
    stage = FullFinetuneStage(
        inputs.small.adapters,
        features.backbone,
        features.preprocessing,
        features.train.frames,
        features.validation.frames,
        inputs.config.seed,
        inputs.config.threads,
    )
    return train_plain(stage, inputs, target, own=True)


WEIGHTS = Weights("full_finetune", _train)
BASELINES = (
    Entry("full_finetune", "every weight of the backbone trained", single_frame(WEIGHTS), WEIGHTS),
)
