"""What a trunk's tokens are: class and register tokens, then the patches of a square picture."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def grid_side(tokens: int) -> int:
    """Patches per side: pictures are squares, so the patches are the largest square number of N.

    >>> grid_side(197), grid_side(201), grid_side(196)
    (14, 14, 14)

    Exact while fewer than ``2 * side + 1`` tokens stand before the patches.
    """
    return math.isqrt(tokens)


def split_tokens(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens (B, N, D) to one token for the whole picture (B, D), and the patches (B, P, D).

    The one is the class token; where a family has none, the strongest value of each channel.
    Register tokens are in neither.
    """
    count = tokens.shape[1]
    prefix = count - grid_side(count) ** 2
    patches = tokens[:, prefix:]
    return (tokens[:, 0] if prefix else patches.amax(dim=1)), patches


def pool_patches(tokens: Tensor, prefix: int) -> Tensor:
    """Tokens with their patches averaged two by two: (B, N, D) to (B, prefix + about P / 4, D).

    The tokens before the patches stay. At an odd edge fewer than four patches are averaged.

    Args:
        prefix: how many tokens stand before the patches.
    """
    side = math.isqrt(tokens.shape[1] - prefix)
    grid = tokens[:, prefix:].transpose(1, 2).reshape(len(tokens), -1, side, side)
    pooled = functional.avg_pool2d(grid, 2, ceil_mode=True, count_include_pad=False)
    return torch.cat([tokens[:, :prefix], pooled.flatten(2).transpose(1, 2)], dim=1)
