"""Stage: train the scout on cached trunk tokens, and make its scores probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from polymorph_ros.arrays import Indices
from polymorph_ros.bundle.manifest import SCOUT_FILE
from polymorph_ros.model.scout import Scout
from polymorph_ros.training.artifacts import CHECKPOINT_FILE, Artifact
from polymorph_ros.training.calibration import fold_into, platt
from polymorph_ros.training.config import ScoutConfig
from polymorph_ros.training.cost import Rates, StageCost
from polymorph_ros.training.frames import count_frames
from polymorph_ros.training.loop import Schedule, fit, set_up_torch
from polymorph_ros.training.losses import known_bce
from polymorph_ros.training.token_set import Features, TokenSet

DROPOUT = 0.1
"""Of what the scout reads of the trunk's tokens."""

ScoreTokens = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From tokens (B, N, D) to label logits (B, V) and context logits (B, C)."""


@dataclass(frozen=True)
class ScoutStage:
    """A scout, calibrated on the validation frames."""

    config: ScoutConfig
    features: Features
    seed: int
    threads: int
    name: ClassVar[str] = "scout"

    def cost(self, rates: Rates) -> StageCost:
        """Gradient steps over the training frames."""
        frames = count_frames(self.features.train.frames)
        steps = Schedule.of(self.config, self.seed).steps(frames)
        return StageCost(frames, steps, rates.scout_bytes, steps * rates.scout_step_s)

    def write(self, folder: Path) -> None:
        """Train, calibrate and save."""
        set_up_torch(self.threads, self.features.device)
        data = self.features.load_train()
        scout = train_scout(self.config, data, seed=self.seed, checkpoint=folder / CHECKPOINT_FILE)
        calibrate_scout(scout, self.features.load_validation())
        save_file(scout.tensors(), folder / SCOUT_FILE)


def with_dropout(tokens: Tensor) -> Tensor:
    """Tokens without some of their values; which is drawn on the CPU, alike for all devices."""
    if tokens.is_cpu:
        return nn.functional.dropout(tokens, DROPOUT)
    return tokens * nn.functional.dropout(torch.ones(tokens.shape), DROPOUT).to(tokens.device)


def load_scout(scout: Artifact) -> Scout:
    """The scout that the stage wrote."""
    return Scout.from_tensors(load_file(scout.folder / SCOUT_FILE))


def new_scout(config: ScoutConfig, data: TokenSet) -> Scout:
    """A scout with random weights for the labels and contexts of a token set."""
    return Scout(
        data.tokens.shape[2],
        data.truth.shape[1],
        data.presence.shape[1],
        config.hidden,
        config.queries,
    )


def train_scout(config: ScoutConfig, data: TokenSet, *, seed: int, checkpoint: Path) -> Scout:
    """Train a scout for the labels and contexts of a token set."""
    torch.manual_seed(seed)
    scout = new_scout(config, data).to(data.device).train()

    def score(tokens: Tensor) -> tuple[Tensor, Tensor]:
        labels, contexts = scout(with_dropout(tokens))
        return labels, contexts

    fit_scout(score, scout.parameters(), data, Schedule.of(config, seed), checkpoint)
    return scout.eval()


def fit_scout(
    score: ScoreTokens,
    parameters: Iterable[nn.Parameter],
    data: TokenSet,
    schedule: Schedule,
    checkpoint: Path,
) -> None:
    """Minimise the loss of the logits of all labels and all contexts."""

    def loss_of(batch: Indices, rng: np.random.Generator) -> Tensor:
        labels, contexts = score(data.varied(batch, rng))
        truth, presence = (data.tensor(part[batch]) for part in (data.truth, data.presence))
        return known_bce(labels, truth) + known_bce(contexts, presence)

    fit("scout", parameters, loss_of, np.arange(len(data)), schedule, checkpoint)


def calibrate_scout(
    scout: Scout, validation: TokenSet, whole: ScoreTokens | None = None
) -> NDArray[np.float32]:
    """Change the scout's heads so that its scores are probabilities on the validation frames.

    Args:
        whole: gives the logits that are to be so, where the scout's are only a part of their sum;
            the other parts have to be scaled, too.

    Returns:
        the scale of each label's and then each context's logit, (V + C,).
    """
    label_logits, context_logits = scout_logits(whole or scout, validation)
    labels = platt(label_logits, validation.truth)
    contexts = platt(context_logits, validation.presence)
    fold_into(scout.label_head, *labels)
    fold_into(scout.context_head, *contexts)
    return np.concatenate([labels[0], contexts[0]])


def scout_logits(
    scout: ScoreTokens, data: TokenSet
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Label logits (frames, V) and context logits (frames, C) of all frames."""
    with torch.inference_mode():
        both = [scout(tokens) for tokens in data.batches()]
    labels, contexts = (torch.cat(part).cpu().numpy() for part in zip(*both, strict=True))
    return labels, contexts
