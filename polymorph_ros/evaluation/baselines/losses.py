"""Losses that published methods for many labels train with; unknown cells are -1 in the truth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_NEGATIVES, _MARGIN = 4.0, 0.05  # of the asymmetric loss, as ML-Decoder is trained with it
_ABSENT, _UNKNOWN = 1.0, 2.0  # of the selective loss: exponents of absent and of unknown labels
_LIKELIEST = 5  # unknown labels of a frame that are left out
_FREQUENT = 0.05  # unknown labels are left out that are present in more frames than this


def asymmetric(logits: Tensor, truth: Tensor) -> Tensor:
    """Asymmetric loss (Ridnik et al., ICCV 2021): absent labels that are clear count little.

    Args:
        logits: float (frames, labels).
        truth: int8 of the same shape: 1 present, 0 absent, -1 unknown (left out).

    Returns:
        mean over the known cells.
    """
    absent = (logits.sigmoid() - _MARGIN).clamp(min=0)
    with torch.no_grad():
        weight = absent**_NEGATIVES
    losses = torch.where(truth == 1, -functional.logsigmoid(logits), -weight * torch.log1p(-absent))
    known = (truth >= 0).to(logits.dtype)
    return (losses * known).sum() / known.sum().clamp(min=1.0)


@dataclass(frozen=True)
class Selective:
    """Class-aware selective loss (Ben-Baruch et al., CVPR 2022): some unknown labels are absent.

    An unknown label counts as absent unless it is frequent, or among the frame's likeliest.

    Attributes:
        frequency: float (labels,), the share of frames that each label is present in.
    """

    frequency: Tensor

    def __call__(self, logits: Tensor, truth: Tensor) -> Tensor:
        """As ``asymmetric``; the mean is over all cells that are not left out."""
        with torch.no_grad():
            chance = logits.sigmoid()
            unknown = truth < 0
            counts = ~unknown | self._absent(chance, unknown)
            exponent = torch.where(unknown, _UNKNOWN, _ABSENT)
            weight = torch.where(truth == 1, 1.0, chance**exponent) * counts
        signs = torch.where(truth == 1, 1.0, -1.0)
        losses = -functional.logsigmoid(signs * logits) * weight
        return losses.sum() / counts.sum().clamp(min=1)

    def _absent(self, chance: Tensor, unknown: Tensor) -> Tensor:
        """Which of the unknown labels count as absent, bool (frames, labels)."""
        likely = chance.masked_fill(~unknown, -1.0)
        taken = likely.topk(min(_LIKELIEST, likely.shape[1]), dim=1).indices
        left_out = torch.zeros_like(unknown).scatter_(1, taken, True)
        return unknown & ~left_out & (self.frequency <= _FREQUENT)
