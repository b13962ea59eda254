"""Adapters in tensors of fixed places, for computations that are recorded with their addresses."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from polymorph_ros.model.bank import BankedAdapter, Head, Selection
from polymorph_ros.model.family import TARGETS
from polymorph_ros.model.updates import LowRankMap, Updates


class Slots:
    """Room for some adapters of a bank; which of them fill it is data.

    Every slot takes the largest rank and number of labels in the bank; smaller adapters are padded
    with zeros, which changes none of their answers.

    Args:
        adapters: all adapters of the bank, at least one.
        tail_blocks: K.
        count: number of slots.
    """

    def __init__(self, adapters: Sequence[BankedAdapter], tail_blocks: int, count: int) -> None:
        keys = [(block, target) for block in range(tail_blocks) for target in TARGETS]
        largest = {
            key: max(found, key=lambda change: len(change.down))
            for key in keys
            if (found := [adapter.maps[key] for adapter in adapters if key in adapter.maps])
        }
        head = max((adapter.head for adapter in adapters), key=lambda head: len(head.bias))
        self._maps = {
            key: tuple(
                LowRankMap(torch.zeros_like(change.down), torch.zeros_like(change.up))
                for _ in range(count)
            )
            for key, change in largest.items()
        }
        heads = tuple(
            Head(torch.zeros_like(head.weight), torch.zeros_like(head.bias)) for _ in range(count)
        )
        blocks = tuple(
            {target: Updates(maps) for (at, target), maps in self._maps.items() if at == block}
            for block in range(tail_blocks)
        )
        self.selection = Selection(blocks, heads)

    def fill(self, chosen: Sequence[BankedAdapter]) -> None:
        """Copies as many adapters as there are slots into them, on the device."""
        for key, slots in self._maps.items():
            for slot, adapter in zip(slots, chosen, strict=True):
                change = adapter.maps.get(key)
                _copy(slot.down, None if change is None else change.down)
                _copy(slot.up, None if change is None else change.up)
        for head, adapter in zip(self.selection.heads, chosen, strict=True):
            _copy(head.weight, adapter.head.weight)
            _copy(head.bias, adapter.head.bias)


def _copy(slot: Tensor, rows: Tensor | None) -> None:
    """Puts rows at the beginning of a slot and zeros behind them."""
    used = 0 if rows is None else len(rows)
    if rows is not None:
        slot[:used].copy_(rows)
    slot[used:].zero_()
