"""Stage: a scout with an adapter of its own on the last K blocks, trained together with it.

The trunk's tokens say little of what only the last blocks make out. A LoRA for the whole
vocabulary and all contexts sees it, for one more tail per frame; its logits are added to those of
the scout's small network on the trunk's tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from polymorph_ros.bundle.manifest import SCOUT_ADAPTER_FOLDER, SCOUT_FILE
from polymorph_ros.model.scout import Scout
from polymorph_ros.training.artifacts import CHECKPOINT_FILE, Artifact
from polymorph_ros.training.calibration import fold_into
from polymorph_ros.training.config import AdaptersConfig, ScoutConfig
from polymorph_ros.training.loop import Indices, fit, set_up_torch
from polymorph_ros.training.stages.adapter import TrainableAdapter
from polymorph_ros.training.stages.backbone import weights_folder
from polymorph_ros.training.stages.scout import DROPOUT, calibrate_scout, new_scout, scout_loss
from polymorph_ros.training.token_set import TokenFiles, TokenSet

_WEIGHT_DECAY = 0.01  # as of adapters


class DeepScout(nn.Module):
    """A scout and its adapter; logits are the sums of both."""

    def __init__(self, scout: Scout, adapter: TrainableAdapter) -> None:
        super().__init__()
        self.scout = scout
        self.adapter = adapter

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, D) to label logits (B, V) and context logits (B, C)."""
        seen = nn.functional.dropout(tokens, DROPOUT, self.training)
        labels, contexts = self.scout(seen)
        deep = cast(Tensor, self.adapter(tokens))
        return labels + deep[:, : self.scout.num_labels], contexts + deep[:, labels.shape[1] :]


@dataclass(frozen=True)
class DeepScoutStage:
    """A scout with its adapter, calibrated together on the validation frames.

    Attributes:
        config: of the scout; its rank is above 0.
        adapters: how LoRA is trained: all but the rank, and the epochs, which are the scout's.
    """

    config: ScoutConfig
    adapters: AdaptersConfig
    backbone: Artifact
    train: TokenFiles
    validation: TokenFiles
    contexts: Artifact
    seed: int
    threads: int

    @property
    def name(self) -> str:
        return "scout"

    def write(self, folder: Path) -> None:
        set_up_torch(self.threads)
        data = self.train.load(self.contexts)
        scout = self._trained(data, folder / CHECKPOINT_FILE).eval()
        calibrate(scout, self.validation.load(self.contexts))
        save_file(scout.scout.tensors(), folder / SCOUT_FILE)
        scout.adapter.save(folder / SCOUT_ADAPTER_FOLDER)

    def steps(self) -> int:
        """How many gradient steps it takes."""
        frames = len(self.train.load(self.contexts))
        return self.config.epochs * max(1, frames // self.adapters.batch_size)

    def _trained(self, data: TokenSet, checkpoint: Path) -> DeepScout:
        torch.manual_seed(self.seed)
        scale = self.adapters.alpha / self.adapters.rank
        lora = self.adapters.model_copy(
            update={"rank": self.config.rank, "alpha": max(1, round(scale * self.config.rank))}
        )
        outputs = data.truth.shape[1] + data.presence.shape[1]
        adapter = TrainableAdapter(lora, weights_folder(self.backbone), outputs)
        scout = DeepScout(new_scout(self.config, data), adapter).train()
        adapter.peft_model.eval()  # no dropout of the frozen blocks

        def loss_of(batch: Indices, rng: np.random.Generator) -> Tensor:
            tokens = torch.from_numpy(data.varied(batch, rng)).float()
            return scout_loss(scout(tokens), data, batch)

        fit(
            "scout",
            scout.parameters(),
            loss_of,
            np.arange(len(data)),
            epochs=self.config.epochs,
            batch_size=self.adapters.batch_size,
            learning_rate=self.adapters.learning_rate,
            weight_decay=_WEIGHT_DECAY,
            seed=self.seed,
            checkpoint=checkpoint,
        )
        return scout


def calibrate(scout: DeepScout, validation: TokenSet) -> None:
    """Change all heads so that the sums are probabilities on the validation frames."""
    scale = calibrate_scout(scout.scout, validation, scout)
    fold_into(scout.adapter.head, scale, np.zeros_like(scale))
