"""The adapter bank: the low-rank tensors and heads of all adapters, each where it stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from polymorph_ros.model.adapter import AdapterWeights
from polymorph_ros.model.updates import LowRankMap, SeparateUpdates


@dataclass(frozen=True)
class Head:
    """The head of one adapter: weight (labels, D) and bias (labels,)."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class BankedAdapter:
    """One adapter on the bank's device.

    Attributes:
        maps: its updates by (index of the tail block, target name).
        head: its head.
    """

    maps: Mapping[tuple[int, str], LowRankMap]
    head: Head


@dataclass(frozen=True)
class Selection:
    """Several adapters of a bank, ready to run side by side; it owns no tensor.

    Attributes:
        blocks: for each tail block, the updates of those targets that some adapter changes.
        heads: their heads.
    """

    blocks: tuple[Mapping[str, SeparateUpdates], ...]
    heads: tuple[Head, ...]

    @property
    def count(self) -> int:
        """How many adapters."""
        return len(self.heads)

    def logits(self, features: Tensor) -> list[Tensor]:
        """Pooled features (adapters, D) to each adapter's logits (labels of its context,)."""
        rows = zip(self.heads, features, strict=True)
        return [functional.linear(row, head.weight, head.bias) for head, row in rows]


class AdapterBank:
    """All adapters of a model on one device; yields the active ones side by side.

    Another choice of active adapters neither moves nor allocates a tensor. Adapters may be added
    and replaced between two frames.

    Args:
        adapters: all read against the same backbone and K.
        tail_blocks: K.
        device: where the tensors live.
        dtype: their type, the backbone's.
    """

    def __init__(
        self,
        adapters: Sequence[AdapterWeights],
        tail_blocks: int,
        device: torch.device | str,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._tail_blocks = tail_blocks
        self._device = torch.device(device)
        self._dtype = dtype
        self._adapters: list[BankedAdapter] = []
        self._selected: tuple[int, ...] = ()
        self._selection: Selection | None = None
        for adapter in adapters:
            self.add(adapter)

    def __len__(self) -> int:
        return len(self._adapters)

    def adapter(self, index: int) -> BankedAdapter:
        """One adapter as it lies here."""
        return self._adapters[index]

    @property
    def adapters(self) -> tuple[BankedAdapter, ...]:
        """All of them, by index."""
        return tuple(self._adapters)

    def add(self, adapter: AdapterWeights) -> int:
        """Adds an adapter at the end and gives its index."""
        self._adapters.append(self._take(adapter))
        return len(self._adapters) - 1

    def move(self, places: Sequence[BankedAdapter]) -> None:
        """Uses the same adapters in other memory, so that the old may be freed."""
        self._adapters = list(places)
        self._selection = None

    def replace(self, index: int, adapter: AdapterWeights) -> None:
        """Puts an adapter in another's place; the others stay where they are."""
        self._adapters[index] = self._take(adapter)
        self._selection = None

    def select(self, active: Sequence[int]) -> Selection:
        """The active adapters (indices, at least one), in the given order."""
        wanted = tuple(active)
        if self._selection is None or wanted != self._selected:
            self._selection = self._choose([self._adapters[index] for index in wanted])
            self._selected = wanted
        return self._selection

    def _choose(self, chosen: Sequence[BankedAdapter]) -> Selection:
        blocks: list[dict[str, SeparateUpdates]] = []
        for block in range(self._tail_blocks):
            keys = {key for adapter in chosen for key in adapter.maps if key[0] == block}
            blocks.append(
                {
                    key[1]: SeparateUpdates(tuple(adapter.maps.get(key) for adapter in chosen))
                    for key in sorted(keys)
                }
            )
        return Selection(tuple(blocks), tuple(adapter.head for adapter in chosen))

    def _take(self, adapter: AdapterWeights) -> BankedAdapter:
        maps = {
            key: LowRankMap(self._place(update.down), self._place(update.scaling * update.up.T))
            for key, update in adapter.updates.items()
        }
        head = Head(self._place(adapter.head_weight), self._place(adapter.head_bias))
        return BankedAdapter(maps, head)

    def _place(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._device, self._dtype).contiguous()
