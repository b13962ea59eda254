"""A head on the frozen backbone's own feature."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

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
from polymorph_ros.evaluation.baselines.trained import TrainedBaseline
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.training.artifacts import Artifact
from polymorph_ros.training.backbones import weights_folder
from polymorph_ros.training.config import AdaptersConfig
from polymorph_ros.training.loop import Indices, set_up_torch
from polymorph_ros.training.losses import known_bce
from polymorph_ros.training.token_set import TokenFiles, TokenSet


@dataclass(frozen=True)
class LinearProbeStage:
    """Trains the head from cached trunk tokens; see ``train.train_plain`` for what it writes."""

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
        features = self._features(train)
        torch.manual_seed(self.seed)
        head = nn.Linear(features.shape[1], train.truth.shape[1])

        def loss_of(batch: Indices, rng: np.random.Generator) -> Tensor:
            return known_bce(head(features[batch]), torch.from_numpy(train.truth[batch]))

        fit_baseline(
            "linear probe", head.parameters(), loss_of, len(train), self.config, self.seed, folder
        )
        save_head(head, folder)
        held_out = self._features(self.validation.load(self.contexts))
        with torch.inference_mode():
            np.save(folder / LOGITS_FILE, head(held_out).numpy())

    def _features(self, data: TokenSet) -> Tensor:
        """The pooled feature of each frame as it is, (frames, D)."""
        backbone = load_backbone(weights_folder(self.backbone))
        rows = []
        for first in range(0, len(data), BATCH):
            tokens = data.plain(slice(first, first + BATCH)).astype(np.float32)
            with torch.no_grad():
                rows.append(backbone.tail(torch.from_numpy(tokens), self.config.tail_blocks))
        return torch.cat(rows)


def _train(inputs: Inputs, target: Path) -> TrainedBaseline:
    features = inputs.features
    stage = LinearProbeStage(
        inputs.small.adapters,
        features.backbone,
        features.train,
        features.validation,
        features.contexts,
        inputs.config.seed,
        inputs.config.threads,
    )
    return train_plain(stage, inputs, target, own=False)


WEIGHTS = Weights("linear_probe", _train)
BASELINES = (
    Entry("linear_probe", "a head on the frozen backbone", single_frame(WEIGHTS), WEIGHTS),
)
