"""Weights of linear maps and layer norms, as the composed computations take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn


@dataclass(frozen=True)
class LinearWeights:
    """One linear map: ``y = x @ weight.T + bias``.

    Attributes:
        weight: float tensor (out, in).
        bias: float tensor (out,); zeros where the checkpoint has none.
    """

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class NormWeights:
    """One layer norm: weight and bias of shape (D,), and its epsilon."""

    weight: Tensor
    bias: Tensor
    eps: float


def read_linear(module: nn.Module) -> LinearWeights:
    """The weights of a linear layer."""
    weight = module.get_parameter("weight").detach()
    bias = cast("Tensor | None", module.bias)
    return LinearWeights(weight, weight.new_zeros(len(weight)) if bias is None else bias.detach())


def read_norm(module: nn.Module) -> NormWeights:
    """The weights of a layer norm."""
    norm = cast(nn.LayerNorm, module)
    return NormWeights(norm.weight.detach(), norm.bias.detach(), norm.eps)
