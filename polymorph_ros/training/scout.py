"""Train the scout on cached trunk tokens."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polymorph_ros.model.scout import Scout
from polymorph_ros.training.config import ScoutConfig
from polymorph_ros.training.loop import Indices, fit
from polymorph_ros.training.losses import known_bce

_BATCH = 256
_DROPOUT = 0.1


def train_scout(
    config: ScoutConfig,
    tokens: NDArray[np.float16],
    truth: NDArray[np.int8],
    presence: NDArray[np.int8],
    *,
    seed: int,
) -> Scout:
    """Train a scout.

    Args:
        tokens: (frames, N, D).
        truth: (frames, labels), -1 unknown.
        presence: (frames, contexts), 1 where the context is there.
    """
    torch.manual_seed(seed)
    scout = Scout(
        tokens.shape[2], truth.shape[1], presence.shape[1], config.hidden, config.queries
    ).train()

    def loss_of(batch: Indices) -> Tensor:
        inputs = torch.from_numpy(tokens[batch]).float()
        inputs = torch.nn.functional.dropout(inputs, _DROPOUT)
        labels, contexts = scout(inputs)
        return known_bce(labels, torch.from_numpy(truth[batch])) + known_bce(
            contexts, torch.from_numpy(presence[batch])
        )

    fit(
        "scout",
        scout.parameters(),
        loss_of,
        np.arange(len(truth)),
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        weight_decay=0.05,
        rng=np.random.default_rng(seed),
    )
    return scout.eval()


def scout_logits(
    scout: Scout, tokens: NDArray[np.float16]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Label logits (frames, V) and context logits (frames, C) of all frames."""
    labels, contexts = [], []
    with torch.inference_mode():
        for first in range(0, len(tokens), _BATCH):
            both = scout(torch.from_numpy(tokens[first : first + _BATCH].astype(np.float32)))
            labels.append(both[0].numpy())
            contexts.append(both[1].numpy())
    return np.concatenate(labels), np.concatenate(contexts)
