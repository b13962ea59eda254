"""Calibration: a scale and a shift per label that turn scores into probabilities (Platt 1999)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import nn

from polymorph_ros.arrays import Floats
from polymorph_ros.bundle.manifest import HEAD_FILE
from polymorph_ros.runtime.belief import sigmoid

# How far a label's scale and shift stray from those of all labels together, one standard
# deviation: a fit on few examples is drawn towards the common one.
_SPREAD = np.array([0.3, 1.0])
_LEAST_SCALE = 0.01
_STEPS = 50
_SUREST = 1e-4  # a score counts as no surer than this in its skill


def platt(
    logits: NDArray[np.float32], truth: NDArray[np.int8]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fit ``P(present) = sigmoid(scale * logit + shift)`` for each column (Platt 1999).

    A label's fit is drawn towards that of all labels together, by as much as its own examples
    are few; one without any has theirs. A scale is never negative: a score that falls with the
    truth on few frames is a weak score, not an inverted one.

    Args:
        logits: (frames, labels).
        truth: int8 (frames, labels); -1 is left out.

    Returns:
        scale and shift, each (labels,).
    """
    known = truth >= 0
    values = logits.astype(np.float64)
    common = _fit(values[known], truth[known] == 1, np.array([1.0, 0.0]))
    fits = [
        _fit(values[known[:, label], label], truth[known[:, label], label] == 1, common)
        for label in range(logits.shape[1])
    ]
    scales, shifts = np.array(fits, dtype=np.float32).reshape(-1, 2).T
    return scales, shifts


def _fit(logits: Floats, present: NDArray[np.bool_], expected: Floats) -> Floats:
    """The likeliest scale and shift, given what was expected of them: Newton's method."""
    inputs = np.stack([logits, np.ones_like(logits)], axis=1)
    point = expected
    for _ in range(_STEPS):
        said = sigmoid(np.clip(inputs @ point, -30.0, 30.0))
        slope = inputs.T @ (said - present) + (point - expected) / _SPREAD**2
        bend = (inputs * (said * (1.0 - said))[:, None]).T @ inputs + np.diag(1.0 / _SPREAD**2)
        step = np.linalg.solve(bend, slope)
        # A long step may lead out of where the parabola is like the loss.
        step /= max(1.0, float(np.abs(step).max()))
        point = point - step
        if np.abs(step).max() < 1e-6:
            break
    return np.maximum(point, [_LEAST_SCALE, -np.inf])


def skill(scores: NDArray[np.float64], truth: NDArray[np.int8]) -> Floats:
    """The share of each label's uncertainty that its scores resolve.

    ``1 - log loss of the scores / log loss of always saying the label's own frequency``, with one
    example of either kind added at the frequency, so that few examples give a value near 0.

    Args:
        scores: probabilities (frames, labels).
        truth: int8 (frames, labels); -1 is left out.

    Returns:
        (labels,), 0 (no better than the frequency, or never seen) to 1 (always sure and right).
    """
    sure = np.clip(scores, _SUREST, 1.0 - _SUREST)
    known, present = truth >= 0, truth == 1
    rate = (present.sum(axis=0) + 1.0) / (known.sum(axis=0) + 2.0)
    ignorant = _log_loss(rate, present, known)
    lost = _log_loss(sure, present, known) + 2.0 * _entropy(rate)
    seen = present.any(axis=0)
    return np.where(seen, np.clip(1.0 - lost / (ignorant + 2.0 * _entropy(rate)), 0.0, 1.0), 0.0)


def _log_loss(probability: Floats, present: NDArray[np.bool_], known: NDArray[np.bool_]) -> Floats:
    """Sum over the known frames, (labels,)."""
    loss = -np.log(np.where(present, probability, 1.0 - probability))
    total: Floats = np.where(known, loss, 0.0).sum(axis=0)
    return total


def _entropy(rate: Floats) -> Floats:
    bits: Floats = -(rate * np.log(rate) + (1.0 - rate) * np.log(1.0 - rate))
    return bits


def fold_into(linear: nn.Linear, scale: NDArray[np.float32], shift: NDArray[np.float32]) -> None:
    """Change a head so that its logits are ``scale * logit + shift``."""
    with torch.no_grad():
        factor, offset = (torch.from_numpy(part).to(linear.bias.device) for part in (scale, shift))
        linear.weight.mul_(factor[:, None])
        linear.bias.mul_(factor).add_(offset)


def fold_into_head(
    folder: Path, scale: NDArray[np.float32], shift: NDArray[np.float32], prefix: str = ""
) -> None:
    """The same for a head's file in a folder, in which its tensors' names have a prefix."""
    tensors = load_file(folder / HEAD_FILE)
    factor, offset = torch.from_numpy(scale), torch.from_numpy(shift)
    weight, bias = f"{prefix}weight", f"{prefix}bias"
    tensors[weight] = tensors[weight] * factor[:, None]
    tensors[bias] = tensors[bias] * factor + offset
    save_file(tensors, folder / HEAD_FILE)
