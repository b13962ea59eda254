"""Low-rank updates of one linear map, for several adapters side by side.

On a CPU each adapter's tensors are used where they lie in the bank: choosing other adapters copies
nothing, ranks may differ, and a product per adapter takes as long as one batched product. On a GPU
every product is a launch, so there all adapters share one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from polymorph_ros.model.linear import linear_map
from polymorph_ros.model.weights import LinearWeights


@dataclass(frozen=True)
class LowRankMap:
    """One adapter's update of one linear map: ``y += x @ down.T @ up``.

    Attributes:
        down: (rank, in); a product with the transpose of this layout takes less than half the time
            of one with a matrix stored as (in, rank).
        up: (rank, out), with the adapter's scaling in it.
    """

    down: Tensor
    up: Tensor


class Updates(Protocol):
    """The updates of one linear map by each of several adapters."""

    def part(self, first: int, count: int) -> Updates:
        """At most ``count`` neighbouring adapters."""
        ...

    def add_to(self, base: Tensor, x: Tensor) -> Tensor:
        """The map's output with each adapter's update, in the memory of ``base`` where that fits.

        Args:
            base: (1 or adapters, N, out), what the map gives without adapters.
            x: (1 or adapters, N, in), its input.

        Returns:
            (adapters, N, out).
        """
        ...

    def add_to_probe(self, probe: Tensor, query: Tensor) -> Tensor:
        """Of a key map: adds each adapter's ``W_k^T q`` to the base's, in its memory.

        Args:
            probe: (adapters, H, D).
            query: (adapters, H, d).
        """
        ...

    def add_to_read(self, read: Tensor, mean: Tensor) -> Tensor:
        """Of a value map: adds each adapter's values of the mean tokens, in its memory.

        Args:
            read: (adapters, H, d).
            mean: (adapters, H, D), the attention-weighted mean token of each head.
        """
        ...


def apply_linear(x: Tensor, linear: LinearWeights, change: Updates | None = None) -> Tensor:
    """A linear map of (1 or adapters, N, in), with each adapter's own update if there are any."""
    return with_update(linear_map(x, linear.weight, linear.bias), x, change)


def with_update(base: Tensor, x: Tensor, change: Updates | None) -> Tensor:
    """What a linear map gives for x (1 or adapters, N, in), with each adapter's own update."""
    return base if change is None else change.add_to(base, x)


@dataclass(frozen=True)
class SeparateUpdates:
    """A map per adapter, each where it lies: None where the adapter leaves the map alone."""

    maps: tuple[LowRankMap | None, ...]

    def part(self, first: int, count: int) -> SeparateUpdates:
        return SeparateUpdates(self.maps[first : first + count])

    def add_to(self, base: Tensor, x: Tensor) -> Tensor:
        if len(base) != len(self.maps):
            base = base.repeat(len(self.maps), 1, 1)
        for index, change in enumerate(self.maps):
            if change is not None:
                low = linear_map(x[index if len(x) > 1 else 0], change.down, None)
                base[index].addmm_(low, change.up)
        return base

    def add_to_probe(self, probe: Tensor, query: Tensor) -> Tensor:
        for index, change in enumerate(self.maps):
            if change is not None:
                up = change.up.view(len(change.up), *query.shape[1:])  # (r, H, d)
                low = torch.einsum("hd,rhd->hr", query[index], up)
                probe[index].addmm_(low, change.down)
        return probe

    def add_to_read(self, read: Tensor, mean: Tensor) -> Tensor:
        for index, change in enumerate(self.maps):
            if change is not None:
                up = change.up.view(len(change.up), *read.shape[1:])  # (r, H, d)
                low = torch.mm(mean[index], change.down.T)
                read[index] += torch.einsum("hr,rhd->hd", low, up)
        return read


@dataclass(frozen=True)
class StackedUpdates:
    """The maps of all adapters in two tensors, ranks padded with zeros.

    Attributes:
        down: (adapters, rank, in).
        up: (adapters, rank, out), with each adapter's scaling in it.
    """

    down: Tensor
    up: Tensor

    def part(self, first: int, count: int) -> StackedUpdates:
        chosen = slice(first, first + count)
        return StackedUpdates(self.down[chosen], self.up[chosen])

    def add_to(self, base: Tensor, x: Tensor) -> Tensor:
        low = torch.matmul(x, self.down.transpose(1, 2))
        if len(base) != len(low):
            return torch.baddbmm(base, low, self.up)
        return base.baddbmm_(low, self.up)

    def add_to_probe(self, probe: Tensor, query: Tensor) -> Tensor:
        up = self.up.view(*self.up.shape[:2], *query.shape[1:])  # (A, r, H, d)
        low = torch.einsum("ahd,arhd->ahr", query, up)
        return probe.baddbmm_(low, self.down)

    def add_to_read(self, read: Tensor, mean: Tensor) -> Tensor:
        up = self.up.view(*self.up.shape[:2], *read.shape[1:])  # (A, r, H, d)
        low = torch.matmul(mean, self.down.transpose(1, 2))
        return read.add_(torch.einsum("ahr,arhd->ahd", low, up))
