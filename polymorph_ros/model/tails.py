"""Composed tails: the last K blocks for all active adapters side by side, without merging weights.

Exact, up to rounding, against running each adapter on its own. How a block shares work between
adapters is said where it is: ``transformer_blocks.py``, ``bottleneck.py`` and ``convnext.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from polymorph_ros.model.backbone import Backbone
from polymorph_ros.model.network import BlockUpdates, Work


class ActiveAdapters(Protocol):
    """Some adapters side by side: how many, and their updates of each tail block."""

    @property
    def count(self) -> int:
        """How many."""
        ...

    @property
    def blocks(self) -> Sequence[BlockUpdates]:
        """For each tail block, the updates of its linear maps by target name."""
        ...


class ComposedTails:
    """The backbone's last K blocks and what pools them, for any stack of adapters.

    Args:
        backbone: already on its device; later changes of its weights are not followed.
        tail_blocks: K.
    """

    def __init__(self, backbone: Backbone, tail_blocks: int) -> None:
        self._blocks = backbone.tail_blocks(tail_blocks)

    def __call__(self, tokens: Tensor, adapters: ActiveAdapters) -> Tensor:
        """Trunk tokens (1, N, D) of one picture to pooled features (A, F), a row per adapter."""
        for block, updates in zip(self._blocks, adapters.blocks, strict=True):
            tokens = block(tokens, updates, adapters.count)
        return tokens.expand(adapters.count, -1)

    def work(self, tokens: int) -> list[Work]:
        """What each block costs one adapter, where the first gets so many tokens, alike for all."""
        works: list[Work] = []
        for index, block in enumerate(self._blocks):
            works.append(block.work(tokens, shared=index == 0))
            tokens = works[-1].tokens
        return works
