"""What a backbone needs of its network: a trunk, and tail blocks that run for several adapters.

There are two kinds: ``transformer.py`` (attention and an MLP over tokens) and ``convnet.py``
(convolutions over a grid of positions). In both a picture is tokens (B, N, D) between two blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from polymorph_ros.model.updates import Updates

BlockUpdates = Mapping[str, Updates]
"""The updates of one block's linear maps, by target name."""


@dataclass(frozen=True)
class LoraMap:
    """A linear map that may have LoRA.

    Attributes:
        inputs, outputs: its sizes.
        convolution: it is a 1 x 1 convolution: PEFT's tensors then have two more dimensions.
        gain: (outputs,) what a batch norm behind it multiplies its outputs by, and so those of its
            LoRA; None where there is none.
    """

    inputs: int
    outputs: int
    convolution: bool = False
    gain: Tensor | None = None


@dataclass(frozen=True)
class Work:
    """What a tail block computes for each adapter, in multiply-adds of its products.

    Attributes:
        own: of its maps; what is computed once for all adapters is left out.
        rows: by target, how many rows its map is applied to.
        tokens: how many tokens the next block gets.
    """

    own: int
    rows: Mapping[str, int]
    tokens: int


class TailBlock(Protocol):
    """A block for several adapters side by side."""

    def __call__(self, tokens: Tensor, updates: BlockUpdates, count: int) -> Tensor:
        """Tokens (1 or adapters, N, D) to those of the next block; of the last block to features.

        As long as no adapter has changed anything, there is one row for all of them.

        Args:
            tokens: the same for all adapters, or a row for each.
            updates: of those targets that some adapter changes.
            count: how many adapters there are.
        """
        ...

    def work(self, tokens: int, *, shared: bool) -> Work:
        """What it costs for so many tokens; ``shared``: they are the same for all adapters."""
        ...


class Network(Protocol):
    """The parts of a backbone, each from or up to the block with index ``start``."""

    @property
    def num_blocks(self) -> int:
        """Blocks in all."""
        ...

    @property
    def feature_size(self) -> int:
        """Length of the pooled feature."""
        ...

    @property
    def patch_size(self) -> int:
        """What a picture's side must be divisible by, pixels."""
        ...

    @property
    def prefix_tokens(self) -> int:
        """Class and register tokens, which stand before the patches or positions."""
        ...

    @property
    def lora_maps(self) -> Mapping[tuple[int, str], LoraMap]:
        """Every map that may have LoRA, by (block, target)."""
        ...

    def to(self, device: torch.device | None, dtype: torch.dtype | None) -> None:
        """Moves or casts what it has beside the model's own weights."""
        ...

    def token_size(self, start: int) -> int:
        """Length of the tokens that block ``start`` gets."""
        ...

    def trunk(self, pixels: Tensor, start: int) -> Tensor:
        """Pixels (B, 3, S, S) to the tokens (B, N, D) that block ``start`` gets."""
        ...

    def tail(self, tokens: Tensor, start: int) -> Tensor:
        """Tokens to features (B, feature_size), by the model's own modules, with autograd."""
        ...

    def last_tokens(self, tokens: Tensor, start: int) -> Tensor:
        """Tokens to those that the pooling reads, (B, N, feature_size), by the same modules."""
        ...

    def feature(self, pixels: Tensor) -> Tensor:
        """Pixels to features (B, feature_size) of the frozen network, without adapters."""
        ...

    def trainable_feature(self, pixels: Tensor) -> Tensor:
        """The same by the model's own modules, with autograd."""
        ...

    def trunk_modules(self, start: int) -> list[nn.Module]:
        """The blocks that ``trunk`` runs."""
        ...

    def tail_modules(self, start: int) -> list[nn.Module]:
        """The model's own blocks from ``start`` on, with LoRA inside once PEFT has put it there."""
        ...

    def tail_blocks(self, start: int) -> Sequence[TailBlock]:
        """The same as they run for several adapters."""
        ...
