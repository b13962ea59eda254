"""Convolutions of a grid of positions, with the batch norm behind them folded in.

Between two blocks the grid is tokens (B, N, D), row by row: the memory of a picture whose channels
come last. So 1 x 1 convolutions are linear maps of tokens, and the others take the same memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from polymorph_ros.model.linear import InferenceLinear, for_few_rows

Padding = tuple[int, int] | None
"""Zeros before and after each row and column; None: as TensorFlow's "same", by the size."""


def to_grid(tokens: Tensor) -> Tensor:
    """Tokens (B, N, D) of a square grid as (B, D, side, side), channels last; copies nothing."""
    side = math.isqrt(tokens.shape[1])
    return tokens.reshape(len(tokens), side, side, -1).permute(0, 3, 1, 2)


def to_tokens(grid: Tensor) -> Tensor:
    """A grid (B, D, side, side) as tokens (B, N, D); copies nothing if its channels are last."""
    return grid.permute(0, 2, 3, 1).flatten(1, 2)


class GridConvolution(nn.Module):
    """A convolution that is no linear map of tokens: grid (B, I, side, side) to (B, O, ...).

    Args:
        convolution: with square kernels.
        norm: the batch norm behind it, if there is one.
        padding: instead of the convolution's own.
    """

    def __init__(
        self, convolution: nn.Conv2d, norm: nn.BatchNorm2d | None, padding: Padding
    ) -> None:
        super().__init__()
        weight, bias, _ = folded(convolution, norm)
        self.weight = _channels_last(weight)
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.inputs = convolution.in_channels
        self._stride, self._dilation = convolution.stride[0], convolution.dilation[0]
        self._groups, self._padding = convolution.groups, padding
        self._wider = self.weight
        more = 1 if padding is None else padding[1] - padding[0]
        if more:
            # As much padding on all sides, and zeros in the kernel where that is too much, before
            # the grid: the same sums, without a padded copy of the grid.
            self._wider = _channels_last(functional.pad(weight, (more, 0, more, 0)))

    def forward(self, grid: Tensor) -> Tensor:
        """The convolved grid, channels last if the grid's are."""
        _, after = self._around(grid.shape[2])
        weight = self.weight_at(grid.shape[2])
        return functional.conv2d(
            grid, weight, self.bias, self._stride, after, self._dilation, self._groups
        )

    def weight_at(self, side: int) -> Tensor:
        """The kernels (O, I / groups, k, k) for a grid of this side."""
        before, after = self._around(side)
        return self.weight if before == after else self._wider

    def side(self, side: int) -> int:
        """Side of the output of a grid of this side."""
        return (side + sum(self._around(side)) - self._reach()) // self._stride + 1

    def _reach(self) -> int:
        return self._dilation * (self.weight.shape[2] - 1) + 1

    def _around(self, side: int) -> tuple[int, int]:
        if self._padding is not None:
            return self._padding
        # Of so many zeros TensorFlow puts the odd one after the grid.
        rest = side % self._stride or self._stride
        missing = max(self.weight.shape[2] - rest, 0)
        return missing // 2 * self._dilation, (missing - missing // 2) * self._dilation


def _channels_last(weight: Tensor) -> nn.Parameter:
    return nn.Parameter(weight.contiguous(memory_format=torch.channels_last), requires_grad=False)


def pointwise(
    convolution: nn.Conv2d, norm: nn.BatchNorm2d | None = None
) -> tuple[InferenceLinear, Tensor | None]:
    """A 1 x 1 convolution as a linear map of tokens, and the gain (out,) that the norm has."""
    weight, bias, gain = folded(convolution, norm)
    linear = nn.Linear(weight.shape[1], len(weight), device="meta")
    linear.weight = nn.Parameter(for_few_rows(weight[:, :, 0, 0]), requires_grad=False)
    linear.bias = nn.Parameter(bias, requires_grad=False)
    return InferenceLinear(linear), None if gain is None else gain.float().cpu()


def in_place(activation: nn.Module) -> Callable[[Tensor], Tensor]:
    """An activation that may use its input's memory, where it is one that can."""
    if isinstance(activation, nn.ReLU6):
        return partial(Tensor.clamp_, min=0, max=6)
    if isinstance(activation, nn.SiLU):
        return partial(functional.silu, inplace=True)
    return activation


def folded(
    convolution: nn.Conv2d, norm: nn.BatchNorm2d | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Weight and bias with a batch norm's scale and shift in them, and that scale (out,)."""
    weight, bias = convolution.weight.detach(), convolution.bias
    shift = weight.new_zeros(len(weight)) if bias is None else bias.detach()
    if norm is None:
        return weight.clone(), shift.clone(), None
    mean, variance = (cast(Tensor, t) for t in (norm.running_mean, norm.running_var))
    gain = norm.weight.detach() * (variance + norm.eps).rsqrt()
    bias = norm.bias.detach() + (shift - mean) * gain
    return weight * gain.view(-1, 1, 1, 1), bias, gain
