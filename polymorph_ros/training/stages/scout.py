"""Stage: train the scout on cached trunk tokens, and make its probabilities mean what they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from polymorph_ros.bundle.manifest import SCOUT_FILE
from polymorph_ros.model.scout import Scout
from polymorph_ros.training.artifacts import CHECKPOINT_FILE, Artifact
from polymorph_ros.training.calibration import fold_into, platt
from polymorph_ros.training.config import ScoutConfig
from polymorph_ros.training.loop import Indices, fit, set_up_torch
from polymorph_ros.training.losses import known_bce
from polymorph_ros.training.token_set import TokenFiles, TokenSet

_BATCH = 256
DROPOUT = 0.1  # of what the scout reads of the trunk's tokens

ScoreTokens = Callable[[Tensor], tuple[Tensor, Tensor]]  # to label and context logits


@dataclass(frozen=True)
class ScoutStage:
    """A scout, calibrated on the validation frames."""

    config: ScoutConfig
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
        scout = train_scout(self.config, data, seed=self.seed, checkpoint=folder / CHECKPOINT_FILE)
        calibrate_scout(scout, self.validation.load(self.contexts))
        save_file(scout.tensors(), folder / SCOUT_FILE)


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
    scout = new_scout(config, data).train()

    def loss_of(batch: Indices, rng: np.random.Generator) -> Tensor:
        inputs = torch.from_numpy(data.varied(batch, rng)).float()
        return scout_loss(scout(torch.nn.functional.dropout(inputs, DROPOUT)), data, batch)

    fit(
        "scout",
        scout.parameters(),
        loss_of,
        np.arange(len(data)),
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        weight_decay=0.05,
        seed=seed,
        checkpoint=checkpoint,
    )
    return scout.eval()


def scout_loss(logits: tuple[Tensor, Tensor], data: TokenSet, batch: Indices) -> Tensor:
    """The loss of label and context logits, (B, V) and (B, C)."""
    labels, contexts = logits
    return known_bce(labels, torch.from_numpy(data.truth[batch])) + known_bce(
        contexts, torch.from_numpy(data.presence[batch])
    )


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
    labels, contexts = [], []
    with torch.inference_mode():
        for first in range(0, len(data), _BATCH):
            tokens = data.plain(slice(first, first + _BATCH))
            both = scout(torch.from_numpy(tokens.astype(np.float32)))
            labels.append(both[0].numpy())
            contexts.append(both[1].numpy())
    return np.concatenate(labels), np.concatenate(contexts)
