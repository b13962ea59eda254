"""How far a student is from its teacher.

Patches and features are compared by angle and by distance, after the teacher's are whitened channel
by channel: the loss of AM-RADIO (Ranzinger et al., CVPR 2024, equation 3). Logits are compared by
the Kullback-Leibler divergence at a temperature (Hinton et al., "Distilling the knowledge in a
neural network", 2015).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from polymorph_ros.distillation.answers import FEATURE, LOGITS, PATCHES, Answers
from polymorph_ros.distillation.config import LossesConfig

_ANGLE = 0.9  # the rest is distance
_LEAST_DEVIATION = 1e-4


class Comparison(nn.Module):
    """Linear maps from the student to each of the teacher's answers, and the loss of each.

    The maps are of use in training only.

    Args:
        config: weights of the losses.
        sizes: length of the student's patches and feature.
        sample: answers of the teacher (n, ..., D), of which mean and deviation are taken.
    """

    def __init__(self, config: LossesConfig, sizes: dict[str, int], sample: Answers) -> None:
        super().__init__()
        self._config = config
        self._heads = nn.ModuleDict()
        for kind, values in sample.items():
            width = sizes[PATCHES if kind == PATCHES else FEATURE]
            self._heads[kind] = nn.Linear(width, values.shape[-1])
            flat = values.flatten(0, -2)
            self.register_buffer(f"{kind}_mean", flat.mean(dim=0))
            self.register_buffer(f"{kind}_deviation", flat.std(dim=0).clamp(min=_LEAST_DEVIATION))

    def forward(self, student: dict[str, Tensor], teacher: Answers) -> dict[str, Tensor]:
        """Each loss with its weight, of patches (B, N, D), features (B, F) and logits (B, C)."""
        losses = {}
        for kind, values in teacher.items():
            found = self._heads[kind](student[PATCHES if kind == PATCHES else FEATURE])
            if kind == LOGITS:
                loss = _divergence(found, values, self._config.temperature)
            else:
                mean, deviation = (self.get_buffer(f"{kind}_{of}") for of in ("mean", "deviation"))
                loss = _distance(found, (values - mean) / deviation)
            losses[kind] = getattr(self._config, kind) * loss
        return losses


def wanted(config: LossesConfig, answers: Answers) -> Answers:
    """The answers whose losses count."""
    return {kind: values for kind, values in answers.items() if getattr(config, kind) > 0}


def _distance(found: Tensor, expected: Tensor) -> Tensor:
    angle = 1 - functional.cosine_similarity(found, expected, dim=-1).mean()
    return _ANGLE * angle + (1 - _ANGLE) * functional.smooth_l1_loss(found, expected)


def _divergence(found: Tensor, expected: Tensor, temperature: float) -> Tensor:
    log_found = torch.log_softmax(found / temperature, dim=-1)
    log_expected = torch.log_softmax(expected / temperature, dim=-1)
    divergence = functional.kl_div(log_found, log_expected, reduction="batchmean", log_target=True)
    return divergence * temperature**2
