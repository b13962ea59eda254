"""Make scores mean what they say: a scale and a shift per label, folded into the heads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression
from torch import nn

from polymorph_ros.bundle.manifest import HEAD_FILE

_FEWEST = 8  # examples of either kind without which a label's scores are left as they are
_STRENGTH = 10.0  # inverse of the regularisation


def platt(
    logits: NDArray[np.float32], truth: NDArray[np.int8]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fit ``P(present) = sigmoid(scale * logit + shift)`` for each column (Platt 1999).

    Args:
        logits: (frames, labels).
        truth: int8 (frames, labels); -1 is left out.

    Returns:
        scale and shift, each (labels,); 1 and 0 where there are too few examples or where the
        score falls with the truth (an inverted score would be a guess).
    """
    count = logits.shape[1]
    scale, shift = np.ones(count, np.float32), np.zeros(count, np.float32)
    for label in range(count):
        known = truth[:, label] >= 0
        present = truth[known, label] == 1
        if min(present.sum(), (~present).sum()) < _FEWEST:
            continue
        fit = LogisticRegression(C=_STRENGTH).fit(logits[known, label, None], present)
        if fit.coef_[0, 0] > 0:
            scale[label], shift[label] = fit.coef_[0, 0], fit.intercept_[0]
    return scale, shift


def fold_into(linear: nn.Linear, scale: NDArray[np.float32], shift: NDArray[np.float32]) -> None:
    """Change a head so that its logits are ``scale * logit + shift``."""
    with torch.no_grad():
        factor = torch.from_numpy(scale)
        linear.weight.mul_(factor[:, None])
        linear.bias.mul_(factor).add_(torch.from_numpy(shift))


def fold_into_head(folder: Path, scale: NDArray[np.float32], shift: NDArray[np.float32]) -> None:
    """The same for the head file of an adapter's folder."""
    tensors = load_file(folder / HEAD_FILE)
    head = nn.Linear(tensors["weight"].shape[1], tensors["weight"].shape[0])
    head.load_state_dict(tensors)
    fold_into(head, scale, shift)
    save_file({key: value.detach() for key, value in head.state_dict().items()}, folder / HEAD_FILE)
