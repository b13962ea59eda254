"""What a frame of the chosen backbone costs here, and the size of pictures that costs less."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from polymorph_ros.model.backbone import Backbone, random_backbone
from polymorph_ros.training.backbone_choice import model_config_of
from polymorph_ros.training.config import BundleBackboneConfig, TrainConfig
from polymorph_ros.training.rates import computing_s

_RUNS = 2


@dataclass(frozen=True)
class FrameCost:
    """What the frozen network takes for a picture, without adapters.

    Attributes:
        side: of the picture, pixels.
        tokens: those that the tail gets.
        seconds: of computing, measured.
    """

    side: int
    tokens: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.side} px: {1e3 * self.seconds:.0f} ms and {self.tokens} tokens a frame"


MOST = FrameCost(0, tokens=400, seconds=0.1)
"""What a frame may take before there is a warning."""


def frame_cost(backbone: Backbone, side: int, tail_blocks: int) -> FrameCost:
    """Measure it with as many threads as PyTorch has now."""
    pixels = torch.zeros(1, 3, side, side, device=backbone.device)
    with torch.inference_mode():
        tokens = backbone.trunk(pixels, tail_blocks).shape[1]
        seconds = min(computing_s(lambda: backbone.feature(pixels)) for _ in range(_RUNS))
    return FrameCost(side, tokens, seconds)


def slow_frames(config: TrainConfig, side: int, device: str, most: FrameCost = MOST) -> str | None:
    """A warning where a frame of the configured backbone would take long here; else None.

    It is measured with random weights of the backbone's shape: they take as long.

    Args:
        side: of its pictures, pixels.
        device: where it is measured.
        most: what is not yet long.

    Raises:
        PolymorphError: there is no such backbone.
    """
    blocks = config.adapters.tail_blocks
    with torch.random.fork_rng():
        backbone = random_backbone(model_config_of(config.backbone)).to(device)
    cost = frame_cost(backbone, side, blocks)
    if _fits(cost, most):
        return None
    if isinstance(config.backbone, BundleBackboneConfig):
        remedy = "another bundle's backbone may be quicker"
    else:
        smaller = _smaller(backbone, cost, blocks, most)
        remedy = f"backbone.image_size: {smaller.side} would not ({smaller})" if smaller else ""
        remedy = remedy or "so would it at any size: take a smaller backbone"
    limit = f"{1e3 * most.seconds:.0f} ms or {most.tokens} tokens"
    return f"a frame would take more than {limit} here, measured at {cost}; {remedy}"


def _fits(cost: FrameCost, most: FrameCost) -> bool:
    return cost.tokens <= most.tokens and cost.seconds <= most.seconds


def _smaller(
    backbone: Backbone, cost: FrameCost, tail_blocks: int, most: FrameCost
) -> FrameCost | None:
    """The largest size that fits, nearly: tokens and time shrink about as a picture's area."""
    step = backbone.patch_size
    while not _fits(cost, most):
        excess = max(cost.tokens / most.tokens, cost.seconds / most.seconds)
        wanted = min(cost.side - 1, int(cost.side / math.sqrt(excess)))
        side = wanted - wanted % step
        if side <= 0:
            return None
        cost = frame_cost(backbone, side, tail_blocks)
    return cost
