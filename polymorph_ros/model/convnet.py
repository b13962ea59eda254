"""Convolutional networks: blocks over a grid of positions, without a class token.

The frozen network runs as copies of the model's blocks that take tokens, with batch norms folded
in; the model's own modules stay as they are, for PEFT and for gradients.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

import torch
from torch import Tensor, nn

from polymorph_ros.model.convolution import to_grid, to_tokens
from polymorph_ros.model.family import HEAD, Family
from polymorph_ros.model.network import BlockUpdates, LoraMap, TailBlock, Work
from polymorph_ros.model.updates import with_update

NO_UPDATES: BlockUpdates = MappingProxyType({})


class GridBlock(nn.Module, ABC):
    """A copy of a model's block that takes tokens (a ``TailBlock``).

    Attributes:
        inputs: length of the tokens that it gets.
        lora_maps: those of its maps that may have LoRA, by target.
    """

    inputs: int
    lora_maps: Mapping[str, LoraMap]

    @abstractmethod
    def forward(self, tokens: Tensor, updates: BlockUpdates = NO_UPDATES, count: int = 1) -> Tensor:
        """Tokens (B, N, D), of pictures or of adapters, to those of the next block."""

    @abstractmethod
    def work(self, tokens: int, *, shared: bool) -> Work:
        """As ``TailBlock`` says."""


@dataclass(frozen=True)
class ConvFamily(Family):
    """What differs between convolutional networks.

    Attributes:
        stem: the model's modules from pixels to the first block.
        head: those after the last block, before the mean over all positions.
        final_norm: name of the layer norm after that mean; "": none.
        side_step: what a picture's side must be divisible by, pixels.
    """

    stem: tuple[str, ...]
    head: tuple[str, ...]
    final_norm: str
    side_step: int

    def network(self, model: nn.Module, config: Any) -> ConvNet:
        """The parts of a loaded model."""
        return ConvNet(model, self)

    def side_step_of(self, config: Any) -> int:
        """The family's own."""
        return self.side_step

    def of(self, model: nn.Module) -> ConvFamily:
        """The same with the number of blocks that a model has."""
        before, _, after = self.spelling.blocks.partition(".*.")
        blocks = model.get_submodule(before)
        stages = [s.get_submodule(after) for s in blocks.children()] if after else [blocks]
        return self.with_depths(tuple(len(list(stage.children())) for stage in stages))

    def block_modules(self, block: int) -> tuple[str, ...]:
        """The model's modules that make up a block."""
        return (self.spelling.block_name(block),)

    @abstractmethod
    def read_stem(self, model: nn.Module) -> nn.Module:
        """What makes tokens of pixels (B, 3, S, S)."""

    @abstractmethod
    def read_block(self, model: nn.Module, block: int) -> GridBlock:
        """A block as it takes tokens."""

    @abstractmethod
    def read_pool(self, model: nn.Module) -> Pool:
        """What makes features of the last block's tokens."""


class Pool(nn.Module):
    """The head convolution, where there is one, the mean of all positions, and a norm.

    Args:
        outputs: length of a feature.
        head: as a linear map of tokens, and what a batch norm has multiplied into it.
        activation: after the head.
        norm: after the mean; None: none.
    """

    def __init__(
        self,
        outputs: int,
        head: tuple[nn.Linear, Tensor | None] | None = None,
        activation: Any = None,
        norm: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.head = None if head is None else head[0]
        self.lora_maps: dict[str, LoraMap] = {}
        if head is not None:
            linear, gain = head
            sizes = linear.in_features, linear.out_features
            self.lora_maps[HEAD] = LoraMap(*sizes, convolution=True, gain=gain)
        self.outputs = outputs
        self._activate = activation
        self._norm = norm

    def forward(self, tokens: Tensor, updates: BlockUpdates = NO_UPDATES) -> Tensor:
        """Tokens (B, N, D), of pictures or of adapters, to features (B, F)."""
        if self.head is not None:
            tokens = self._activate(with_update(self.head(tokens), tokens, updates.get(HEAD)))
        mean = tokens.mean(dim=1)
        return mean if self._norm is None else cast(Tensor, self._norm(mean))


class ConvNet:
    """The parts of a convolutional network (a ``Network``)."""

    prefix_tokens = 0

    def __init__(self, model: nn.Module, family: ConvFamily) -> None:
        cast(Any, model).to(memory_format=torch.channels_last)
        self._model, self._family = model, family
        self.num_blocks = sum(family.spelling.depths)
        self.patch_size = family.side_step
        self._stem = family.read_stem(model)
        self._blocks = [family.read_block(model, block) for block in range(self.num_blocks)]
        self._pool = family.read_pool(model)
        last = self.num_blocks - 1
        self.lora_maps: Mapping[tuple[int, str], LoraMap] = {
            **{(i, t): m for i, b in enumerate(self._blocks) for t, m in b.lora_maps.items()},
            **{(last, target): map_ for target, map_ in self._pool.lora_maps.items()},
        }

    @property
    def feature_size(self) -> int:
        """Length of the pooled feature."""
        return self._pool.outputs

    def to(self, device: torch.device | None, dtype: torch.dtype | None) -> None:
        """Moves or casts the copies."""
        for module in (self._stem, *self._blocks, self._pool):
            module.to(device=device, dtype=dtype)

    def token_size(self, start: int) -> int:
        """Channels of the grid that block ``start`` gets."""
        return self._blocks[start].inputs

    def trunk(self, pixels: Tensor, start: int) -> Tensor:
        """Pixels to tokens (B, N, D), a row for each position of the grid."""
        tokens: Tensor = self._stem(pixels.contiguous(memory_format=torch.channels_last))
        for block in self._blocks[:start]:
            tokens = block(tokens)
        return tokens

    def tail(self, tokens: Tensor, start: int) -> Tensor:
        """Tokens to features by the model's own modules."""
        mean = self.last_tokens(tokens, start).mean(dim=1)
        norm = self._family.final_norm
        return cast(Tensor, self._model.get_submodule(norm)(mean)) if norm else mean

    def last_tokens(self, tokens: Tensor, start: int) -> Tensor:
        """Tokens to those after the head, by the model's own modules."""
        blocks = range(start, self.num_blocks)
        names = [name for block in blocks for name in self._family.block_modules(block)]
        return to_tokens(self._through([*names, *self._family.head], to_grid(tokens)))

    def trainable_feature(self, pixels: Tensor) -> Tensor:
        """Pixels to features by the model's own modules."""
        return self.tail(to_tokens(self._through(self._family.stem, pixels)), 0)

    def feature(self, pixels: Tensor) -> Tensor:
        """Pixels to features by the copies."""
        return cast(Tensor, self._pool(self.trunk(pixels, self.num_blocks)))

    def trunk_modules(self, start: int) -> list[nn.Module]:
        """The copies of the blocks before ``start``."""
        return list(self._blocks[:start])

    def tail_modules(self, start: int) -> list[nn.Module]:
        """The model's own blocks from ``start`` on."""
        names = (self._family.spelling.block_name(b) for b in range(start, self.num_blocks))
        return [self._model.get_submodule(name) for name in names]

    def tail_blocks(self, start: int) -> Sequence[TailBlock]:
        """The copies from ``start`` on, and the pooling with the last one."""
        *blocks, last = self._blocks[start:]
        return [*blocks, _LastBlock(last, self._pool)]

    def _through(self, names: Iterable[str], grid: Tensor) -> Tensor:
        for name in names:
            grid = self._model.get_submodule(name)(grid)
        return grid


class _LastBlock:
    """The last block with its pooling: tokens (1 or A, N, D) to features (1 or A, F)."""

    def __init__(self, block: GridBlock, pool: Pool) -> None:
        self._block, self._pool = block, pool

    def __call__(self, tokens: Tensor, updates: BlockUpdates, count: int) -> Tensor:
        return cast(Tensor, self._pool(self._block(tokens, updates, count), updates))

    def work(self, tokens: int, *, shared: bool) -> Work:
        """That of the block, and of the head on each of its positions."""
        work = self._block.work(tokens, shared=shared)
        head = self._pool.lora_maps.get(HEAD)
        if head is None:
            return work
        own = work.own + work.tokens * head.inputs * head.outputs
        return Work(own, {**work.rows, HEAD: work.tokens}, work.tokens)
