"""A picture's thumbnail: the coarse grid by which two pictures are compared."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

GRID = 16  # cells in width and in height: fine enough for a thing that appears somewhere


def thumbnails(pixels: Tensor, std: tuple[float, float, float]) -> Tensor:
    """Mean colour of each cell of a coarse grid.

    The mean over a cell hides the noise of its pixels, and keeps what a thing that comes into
    the cell changes. Taken from the model's input, so it needs no second resizing.

    Args:
        pixels: float (B, 3, S, S), preprocessed.
        std: the preprocessing's standard deviation per channel.

    Returns:
        float (B, 3, GRID, GRID) in grey levels of 255, up to a constant per channel: for
        differences only.
    """
    cells = functional.adaptive_avg_pool2d(pixels, GRID)
    return cells * _grey_levels(std, pixels.device)


@cache
def _grey_levels(std: tuple[float, float, float], device: torch.device) -> Tensor:
    """(1, 3, 1, 1); uploaded once, because that waits for the device."""
    return (255 * torch.tensor(std, device=device)).view(1, 3, 1, 1)
