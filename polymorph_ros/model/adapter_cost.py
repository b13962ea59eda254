"""What each adapter costs beside the others: multiply-adds, counted from tensors' shapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.model.bank import BankedAdapter
from polymorph_ros.model.network import Work


def relative_costs(works: Sequence[Work], adapters: Sequence[BankedAdapter]) -> NDArray[np.float64]:
    """The cost of each adapter, 1 for the average one.

    An adapter takes its way through the tail's own maps (but for what is computed once for
    all), its low-rank maps and its head. Attention over the tokens, norms and activations are
    left out: they are alike for all adapters.

    Args:
        works: of the tail's blocks.
        adapters: as they lie in the bank.

    Returns:
        float64 of shape (adapters,), above 0.
    """
    own = sum(work.own for work in works)
    work = np.array([own + _low_rank(adapter, works) for adapter in adapters], np.float64)
    relative: NDArray[np.float64] = work / work.mean()
    return relative


def _low_rank(adapter: BankedAdapter, works: Sequence[Work]) -> int:
    """Multiply-adds of an adapter's updates and head."""
    updates = sum(
        works[block].rows[target] * (change.down.numel() + change.up.numel())
        for (block, target), change in adapter.maps.items()
    )
    return updates + adapter.head.weight.numel()
