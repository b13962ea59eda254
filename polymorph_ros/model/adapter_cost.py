"""What each adapter costs beside the others: multiply-adds, counted from tensors' shapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.model.bank import BankedAdapter
from polymorph_ros.model.family import BlockWeights


def relative_costs(
    blocks: Sequence[BlockWeights],
    adapters: Sequence[BankedAdapter],
    tokens: int,
    *,
    class_token: bool,
) -> NDArray[np.float64]:
    """The cost of each adapter, 1 for the average one.

    An adapter takes its way through the tail's own maps (the first block's attention maps
    aside, which are computed once for all), its low-rank maps and its head. Attention over the
    tokens, norms and activations are left out: they are alike for all adapters.

    Args:
        blocks: the tail's.
        adapters: as they lie in the bank.
        tokens: how many the tail gets.
        class_token: whether the last block is computed for one token only.

    Returns:
        float64 of shape (adapters,), above 0.
    """
    rows = [tokens] * len(blocks)
    if class_token:
        rows[-1] = 1
    own = sum(
        count * sum(linear.weight.numel() for linear in block.linear.values())
        for count, block in zip(rows, blocks, strict=True)
    )
    shared = rows[0] * sum(blocks[0].linear[name].weight.numel() for name in ("q", "k", "v"))
    work = np.array([own - shared + _low_rank(adapter, rows) for adapter in adapters], np.float64)
    relative: NDArray[np.float64] = work / work.mean()
    return relative


def _low_rank(adapter: BankedAdapter, rows: Sequence[int]) -> int:
    """Multiply-adds of an adapter's updates and head, for so many tokens of each block."""
    updates = sum(
        rows[block] * (change.down.numel() + change.up.numel())
        for (block, _), change in adapter.maps.items()
    )
    return updates + adapter.head.weight.numel()
