"""The adapter bank: the low-rank tensors and heads of all adapters, stacked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from polymorph_ros.model.adapter import AdapterWeights, LowRank
from polymorph_ros.model.family import TARGETS


@dataclass(frozen=True)
class LowRankStack:
    """The low-rank updates of one linear map for several adapters, zero-padded to one rank.

    Attributes:
        down: (adapters, rank, in).
        up: (adapters, rank, out), with the adapter's scaling in it.
    """

    down: Tensor
    up: Tensor

    def lowered(self, x: Tensor) -> Tensor:
        """x (1 or adapters, N, in) to (adapters, N, rank), what ``up`` takes."""
        return torch.matmul(x, self.down.transpose(1, 2))

    def part(self, first: int, count: int) -> LowRankStack:
        """Views of at most ``count`` neighbouring adapters."""
        last = first + count
        return LowRankStack(self.down[first:last], self.up[first:last])

    def select(self, index: Tensor) -> LowRankStack:
        return LowRankStack(self.down.index_select(0, index), self.up.index_select(0, index))


@dataclass(frozen=True)
class HeadStack:
    """The heads of several adapters, zero-padded to one number of labels.

    Attributes:
        weight: (adapters, labels, D).
        bias: (adapters, labels, 1).
    """

    weight: Tensor
    bias: Tensor

    def logits(self, features: Tensor) -> Tensor:
        """Pooled features (adapters, D) to logits (adapters, labels); padding gives zeros."""
        return torch.baddbmm(self.bias, self.weight, features.unsqueeze(2)).squeeze(2)

    def select(self, index: Tensor) -> HeadStack:
        return HeadStack(self.weight.index_select(0, index), self.bias.index_select(0, index))


@dataclass(frozen=True)
class AdapterStack:
    """Several adapters, ready to run side by side.

    Attributes:
        blocks: for each tail block, the stacks of those targets that some adapter changes.
        heads: their heads.
    """

    blocks: tuple[Mapping[str, LowRankStack], ...]
    heads: HeadStack

    @property
    def count(self) -> int:
        return self.heads.weight.shape[0]

    def select(self, index: Tensor) -> AdapterStack:
        """The adapters at these indices, in this order; ``index`` is int64 on the device."""
        blocks = tuple({t: s.select(index) for t, s in block.items()} for block in self.blocks)
        return AdapterStack(blocks, self.heads.select(index))


class AdapterBank:
    """All adapters of a model on one device; yields the active ones as one stack.

    The stack of the last selection is kept, so that frames with the same active adapters, which
    are nearly all frames, gather nothing.

    Args:
        adapters: at least one, all read against the same backbone and K.
        tail_blocks: K.
        device: where the stacks live.
    """

    def __init__(
        self, adapters: Sequence[AdapterWeights], tail_blocks: int, device: torch.device | str
    ) -> None:
        blocks = (
            {t: _stack(adapters, block, t, device) for t in TARGETS if _any(adapters, block, t)}
            for block in range(tail_blocks)
        )
        self._stack = AdapterStack(tuple(blocks), _stack_heads(adapters, device))
        self._device = torch.device(device)
        self._selected = tuple(range(len(adapters)))
        self._selection = self._stack
        self.label_counts = tuple(len(adapter.head_bias) for adapter in adapters)

    def __len__(self) -> int:
        return self._stack.count

    def select(self, active: Sequence[int]) -> AdapterStack:
        """The stack of the active adapters (indices, at least one), in the given order."""
        wanted = tuple(active)
        if wanted != self._selected:
            index = torch.tensor(wanted, dtype=torch.int64, device=self._device)
            self._selection = self._stack.select(index)
            self._selected = wanted
        return self._selection


def _any(adapters: Sequence[AdapterWeights], block: int, target: str) -> bool:
    return any((block, target) in adapter.updates for adapter in adapters)


def _stack(
    adapters: Sequence[AdapterWeights], block: int, target: str, device: torch.device | str
) -> LowRankStack:
    updates = [adapter.updates.get((block, target)) for adapter in adapters]
    present = [update for update in updates if update is not None]
    rank = max(len(update.down) for update in present)

    def stack(size: int, part: Callable[[LowRank], Tensor]) -> Tensor:
        padded = torch.zeros(len(updates), rank, size)
        for row, update in zip(padded, updates, strict=True):
            if update is not None:
                row[: len(update.down)] = part(update)
        return padded.to(device)

    return LowRankStack(
        stack(present[0].down.shape[1], lambda update: update.down),
        stack(present[0].up.shape[0], lambda update: update.scaling * update.up.T),
    )


def _stack_heads(adapters: Sequence[AdapterWeights], device: torch.device | str) -> HeadStack:
    labels = max(len(adapter.head_bias) for adapter in adapters)
    weight = torch.zeros(len(adapters), labels, adapters[0].head_weight.shape[1])
    bias = torch.zeros(len(adapters), labels, 1)
    for i, adapter in enumerate(adapters):
        weight[i, : len(adapter.head_weight)] = adapter.head_weight
        bias[i, : len(adapter.head_bias), 0] = adapter.head_bias
    return HeadStack(weight.to(device), bias.to(device))
