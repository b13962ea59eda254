"""Stage: a scout with an adapter of its own on the last K blocks, trained together with it.

The trunk's tokens lack what only the last blocks compute. A LoRA for the whole
vocabulary and all contexts has it, for one more tail per frame; its logits are added to those of
the scout's small network on the trunk's tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, cast

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from polymorph_ros.bundle.manifest import SCOUT_ADAPTER_FOLDER, SCOUT_FILE
from polymorph_ros.model.scout import Scout
from polymorph_ros.training.artifacts import CHECKPOINT_FILE
from polymorph_ros.training.calibration import fold_into
from polymorph_ros.training.config import AdaptersConfig, ScoutConfig
from polymorph_ros.training.cost import Rates, StageCost
from polymorph_ros.training.frames import count_frames
from polymorph_ros.training.loop import Schedule, set_up_torch
from polymorph_ros.training.stages.adapter import CommonAdapter, TrainableAdapter
from polymorph_ros.training.stages.backbone import weights_folder
from polymorph_ros.training.stages.scout import calibrate_scout, fit_scout, new_scout, with_dropout
from polymorph_ros.training.token_set import Features, TokenSet


class DeepScout(nn.Module):
    """A scout and its adapter; logits are the sums of both."""

    def __init__(self, scout: Scout, adapter: TrainableAdapter) -> None:
        super().__init__()
        self.scout = scout
        self.adapter = adapter

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, D) to label logits (B, V) and context logits (B, C)."""
        seen = with_dropout(tokens) if self.training else tokens
        labels, contexts = self.scout(seen)
        deep = cast(Tensor, self.adapter(tokens))
        return labels + deep[:, : self.scout.num_labels], contexts + deep[:, labels.shape[1] :]


@dataclass(frozen=True)
class DeepScoutStage:
    """A scout with its adapter, calibrated together on the validation frames.

    Attributes:
        config: of the scout; its rank is above 0.
        adapters: how LoRA is trained: all but rank, epochs and least steps, which are the scout's.
        common: where its LoRA goes on from, which has the same rank; none: a LoRA that changes
            nothing.
    """

    config: ScoutConfig
    adapters: AdaptersConfig
    features: Features
    seed: int
    threads: int
    common: CommonAdapter | None = field(default=None, metadata={"unless": None})
    name: ClassVar[str] = "scout"

    @property
    def schedule(self) -> Schedule:
        """As adapters are trained, for the scout's epochs or least steps."""
        own = {"epochs": self.config.epochs, "least_steps": self.config.least_steps}
        lora = self.adapters.model_copy(update=own)
        return Schedule.of(lora, self.seed)

    def steps(self) -> int:
        """How many gradient steps it takes."""
        return self.schedule.steps(count_frames(self.features.train.frames))

    def cost(self, rates: Rates) -> StageCost:
        """Gradient steps of a scout and an adapter over the training frames."""
        steps = self.steps()
        return StageCost(
            count_frames(self.features.train.frames),
            steps,
            rates.scout_bytes + rates.adapter_bytes,
            steps * (rates.scout_step_s + rates.adapter_step_s),
        )

    def write(self, folder: Path) -> None:
        """Train, calibrate and save."""
        set_up_torch(self.threads, self.features.device)
        scout = self._trained(self.features.load_train(), folder / CHECKPOINT_FILE).eval()
        calibrate(scout, self.features.load_validation())
        save_file(scout.scout.tensors(), folder / SCOUT_FILE)
        scout.cpu().adapter.save(folder / SCOUT_ADAPTER_FOLDER)

    def _trained(self, data: TokenSet, checkpoint: Path) -> DeepScout:
        torch.manual_seed(self.seed)
        scale = self.adapters.alpha / self.adapters.rank
        lora = self.adapters.model_copy(
            update={"rank": self.config.rank, "alpha": max(1, round(scale * self.config.rank))}
        )
        outputs = data.truth.shape[1] + data.presence.shape[1]
        adapter = TrainableAdapter(lora, weights_folder(self.features.backbone), outputs)
        small = new_scout(self.config, data)
        if self.common is not None:
            adapter.take_over(self.common.start(range(small.num_labels)))
            for rows in small.label_head.parameters():  # the sum begins as the common adapter's
                nn.init.zeros_(rows)
        scout = DeepScout(small, adapter).to(data.device).train()
        adapter.peft_model.eval()  # no dropout of the frozen blocks
        fit_scout(scout, scout.parameters(), data, self.schedule, checkpoint)
        return scout


def calibrate(scout: DeepScout, validation: TokenSet) -> None:
    """Change all heads so that the sums are probabilities on the validation frames."""
    scale = calibrate_scout(scout.scout, validation, scout)
    fold_into(scout.adapter.head, scale, np.zeros_like(scale))
