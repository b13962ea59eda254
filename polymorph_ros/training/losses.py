"""Losses over labels of which some are unknown."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def known_bce(logits: Tensor, truth: Tensor) -> Tensor:
    """Mean binary cross-entropy over the known entries.

    Args:
        logits: float, any shape.
        truth: int8 of the same shape: 1 present, 0 absent, -1 unknown (left out).
    """
    known = (truth >= 0).to(logits.dtype)
    target = truth.clamp(min=0).to(logits.dtype)
    loss = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (loss * known).sum() / torch.clamp(known.sum(), min=1.0)
