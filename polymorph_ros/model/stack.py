"""All adapters of a bank in one tensor, so that choosing some is one gather by their indices.

For computations that are captured with their addresses: which adapters are active is then data like
the picture, and a changed choice costs what an unchanged one does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from polymorph_ros.model.bank import BankedAdapter, Head
from polymorph_ros.model.updates import LowRankMap, StackedUpdates

_ALIGNED = 8  # numbers: with parts that begin at such multiples products take their fast way

_Part = tuple[int, tuple[int, int]]  # where a matrix begins in a row, and its shape
_Key = tuple[int, str]


@dataclass(frozen=True)
class StackedSelection:
    """Some adapters side by side, padded to the same ranks and numbers of labels.

    Attributes:
        blocks: for each tail block, the updates of those targets that some adapter changes.
        head_weight: (adapters, labels, D).
        head_bias: (adapters, labels).
    """

    blocks: tuple[Mapping[str, StackedUpdates], ...]
    head_weight: Tensor
    head_bias: Tensor

    @property
    def count(self) -> int:
        """How many adapters."""
        return len(self.head_bias)

    def logits(self, features: Tensor) -> Tensor:
        """Pooled features (adapters, D) to logits (adapters, labels); those of padding are 0."""
        logits = torch.baddbmm(self.head_bias.unsqueeze(2), self.head_weight, features.unsqueeze(2))
        return logits.squeeze(2)


class AdapterStack:
    """A row for each adapter, with room for the largest rank of each map and the most labels.

    Zeros pad smaller adapters and targets that an adapter leaves alone, which changes no answer.

    Args:
        adapters: all adapters of the bank, at least one.
        tail_blocks: K.
    """

    def __init__(self, adapters: Sequence[BankedAdapter], tail_blocks: int) -> None:
        self._tail_blocks = tail_blocks
        self._size = 0
        self._maps: dict[_Key, tuple[_Part, _Part]] = {}
        for key in sorted({key for adapter in adapters for key in adapter.maps}):
            found = [adapter.maps[key] for adapter in adapters if key in adapter.maps]
            largest = max(found, key=lambda change: len(change.down))
            self._maps[key] = self._part(largest.down), self._part(largest.up)
        head = max((adapter.head for adapter in adapters), key=lambda head: len(head.bias))
        self._head = self._part(head.weight), self._part(head.bias.unsqueeze(0))
        self._rows = head.weight.new_zeros(len(adapters), self._size)
        self.adapters = tuple(self._put(i, adapter) for i, adapter in enumerate(adapters))

    @property
    def device(self) -> torch.device:
        """Where the stack is."""
        return self._rows.device

    def gather(self, index: Tensor) -> StackedSelection:
        """Copies the adapters with these indices (int64 (A,), on the device) to lie side by side.

        Nothing waits for the device.
        """
        rows = self._rows.index_select(0, index)
        blocks: list[dict[str, StackedUpdates]] = [{} for _ in range(self._tail_blocks)]
        for (block, target), (down, up) in self._maps.items():
            blocks[block][target] = StackedUpdates(_view(rows, down), _view(rows, up))
        weight, bias = self._head
        return StackedSelection(tuple(blocks), _view(rows, weight), _view(rows, bias).squeeze(1))

    def _part(self, largest: Tensor) -> _Part:
        """Makes room in each row for a matrix."""
        start = self._size
        self._size += math.ceil(largest.numel() / _ALIGNED) * _ALIGNED
        return start, (largest.shape[0], largest.shape[1])

    def _put(self, index: int, adapter: BankedAdapter) -> BankedAdapter:
        """Copies an adapter into its row; gives the same adapter with its tensors there."""
        row = self._rows[index : index + 1]
        maps = {}
        for key, change in adapter.maps.items():
            down, up = (_view(row, part)[0] for part in self._maps[key])
            maps[key] = LowRankMap(_filled(down, change.down), _filled(up, change.up))
        weight, bias = (_view(row, part)[0] for part in self._head)
        head = adapter.head
        return BankedAdapter(maps, Head(_filled(weight, head.weight), _filled(bias[0], head.bias)))


def _view(rows: Tensor, part: _Part) -> Tensor:
    """One matrix of each row: (A, size) to (A, ...)."""
    start, shape = part
    return rows[:, start : start + math.prod(shape)].view(len(rows), *shape)


def _filled(room: Tensor, tensor: Tensor) -> Tensor:
    """The beginning of a room, with the tensor copied there."""
    used = room[: len(tensor)]
    used.copy_(tensor)
    return used
