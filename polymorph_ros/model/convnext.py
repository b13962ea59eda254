"""ConvNeXt blocks for all active adapters side by side (ConvNeXt, ConvNeXt V2, DINOv3 ConvNeXt).

Exact, up to rounding, against running each adapter on its own. The first tail block gets the same
tokens for every adapter: all up to the base's first linear map is computed once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from polymorph_ros.model.convnet import NO_UPDATES, ConvFamily, GridBlock, Pool
from polymorph_ros.model.convolution import GridConvolution, to_grid, to_tokens
from polymorph_ros.model.network import BlockUpdates, LoraMap, Work
from polymorph_ros.model.updates import with_update


@dataclass(frozen=True)
class ConvNeXtNames:
    """Where a family has the parts of a block, by names inside it.

    Attributes:
        depthwise, norm, activation: of a block; its linear maps are the family's targets.
        scale: the layer scale, which a model may lack; "": the family has none.
        response_norm: the global response norm of ConvNeXt V2; "": the family has none.
    """

    depthwise: str
    norm: str
    activation: str
    scale: str = ""
    response_norm: str = ""


class ConvNeXtBlock(GridBlock):
    """Depthwise convolution, layer norm and an MLP; before a stage a coarser grid.

    Args:
        block: the model's own.
        names: of its parts.
        linear: its linear maps.
        coarser: the layer norm and the convolution before a stage; None: not there.
    """

    def __init__(
        self,
        block: nn.Module,
        names: ConvNeXtNames,
        linear: Mapping[str, nn.Linear],
        coarser: tuple[nn.LayerNorm, nn.Conv2d] | None,
    ) -> None:
        super().__init__()
        self.coarser = self.coarser_norm = self.response_norm = None
        if coarser is not None:
            self.coarser_norm, self.coarser = coarser[0], GridConvolution(coarser[1], None, (0, 0))
        convolution = cast(nn.Conv2d, block.get_submodule(names.depthwise))
        around = cast(int, convolution.padding[0])
        self.depthwise = GridConvolution(convolution, None, (around, around))
        self.norm = cast(nn.LayerNorm, block.get_submodule(names.norm))
        self.fc1, self.fc2 = linear["fc1"], linear["fc2"]
        self.activation = block.get_submodule(names.activation)
        if names.response_norm:
            self.response_norm = block.get_submodule(names.response_norm)
        self.scale = getattr(block, names.scale, None) if names.scale else None
        self.inputs = self.depthwise.inputs if self.coarser is None else self.coarser.inputs
        self.lora_maps = {t: LoraMap(m.in_features, m.out_features) for t, m in linear.items()}

    def forward(self, tokens: Tensor, updates: BlockUpdates = NO_UPDATES, count: int = 1) -> Tensor:
        """Tokens (B, N, D), of pictures or of adapters, to those of the next block."""
        if self.coarser is not None and self.coarser_norm is not None:
            tokens = to_tokens(self.coarser(to_grid(_normed(tokens, self.coarser_norm))))
        inner = _normed(to_tokens(self.depthwise(to_grid(tokens))), self.norm)
        hidden = self.activation(with_update(self.fc1(inner), inner, updates.get("fc1")))
        if self.response_norm is not None:
            hidden = self.response_norm(hidden.unsqueeze(2)).squeeze(2)  # of a column of positions
        out = with_update(self.fc2(hidden), hidden, updates.get("fc2"))
        return out.add_(tokens) if self.scale is None else torch.addcmul(tokens, out, self.scale)

    def work(self, tokens: int, *, shared: bool) -> Work:
        """Its maps on every position; of the same tokens for all, those up to fc1 come once."""
        rows = tokens
        once = 0
        if self.coarser is not None:
            rows = self.coarser.side(math.isqrt(tokens)) ** 2
            once += rows * self.coarser.weight.numel()
        once += rows * self.depthwise.weight.numel()
        sizes = {target: map_.inputs * map_.outputs for target, map_ in self.lora_maps.items()}
        once += rows * sizes["fc1"]
        own = rows * sizes["fc2"] + (0 if shared else once)
        return Work(own, dict.fromkeys(sizes, rows), rows)


@dataclass(frozen=True)
class ConvNeXtFamily(ConvFamily):
    """What differs between networks of ConvNeXt blocks; the stem is a convolution and a norm.

    Attributes:
        names: of the parts of a block.
        coarser: what comes before the blocks of a stage, with ``*`` for the stage's number.
    """

    names: ConvNeXtNames
    coarser: str

    def block_modules(self, block: int) -> tuple[str, ...]:
        """With what comes before a stage's first block."""
        return (*self._before(block), *super().block_modules(block))

    def read_stem(self, model: nn.Module) -> nn.Module:
        """The convolution and the norm."""
        convolution, norm = (model.get_submodule(name) for name in self.stem)
        return _Stem(cast(nn.Conv2d, convolution), cast(nn.LayerNorm, norm))

    def read_block(self, model: nn.Module, block: int) -> ConvNeXtBlock:
        """A block as it takes tokens."""
        own = model.get_submodule(self.spelling.block_name(block))
        targets = self.spelling.targets.items()
        linear = {t: cast(nn.Linear, own.get_submodule(name)) for t, name in targets}
        before = [model.get_submodule(name) for name in self._before(block)]
        coarser = (cast(nn.LayerNorm, before[0]), cast(nn.Conv2d, before[1])) if before else None
        return ConvNeXtBlock(own, self.names, linear, coarser)

    def read_pool(self, model: nn.Module) -> Pool:
        """The mean and the final norm."""
        norm = cast(nn.LayerNorm, model.get_submodule(self.final_norm))
        return Pool(norm.normalized_shape[0], norm=norm)

    def _before(self, block: int) -> tuple[str, ...]:
        stage, place = self.spelling.stage_of(block)
        if place or not stage:
            return ()
        return tuple(f"{self.coarser.replace('*', str(stage))}.{part}" for part in (0, 1))


class _Stem(nn.Module):
    """Pixels (B, 3, S, S), channels last, to tokens."""

    def __init__(self, convolution: nn.Conv2d, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.convolution, self.norm = GridConvolution(convolution, None, (0, 0)), norm

    def forward(self, pixels: Tensor) -> Tensor:
        return _normed(to_tokens(self.convolution(pixels)), self.norm)


def _normed(tokens: Tensor, norm: nn.LayerNorm) -> Tensor:
    """Transformers' own module may expect channels in the second dimension."""
    return functional.layer_norm(tokens, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
