"""Inverted bottlenecks for all active adapters side by side (MobileNetV2, EfficientNet).

Exact, up to rounding, against running each adapter on its own. What makes it cheap:

- The first tail block gets the same tokens for every adapter: its base expansion is computed once,
  and only the low-rank parts for each adapter. As long as no adapter has changed anything, all
  that follows is computed once, too.
- Batch norms are folded into the convolutions. LoRA of a folded map has the norm's gain, which
  ``read_adapter`` multiplies into it.
- 1 x 1 convolutions are linear maps of tokens, on the memory that the depthwise ones read.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

from torch import Tensor, nn

from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.convnet import NO_UPDATES, ConvFamily, GridBlock, Pool
from polymorph_ros.model.convolution import (
    GridConvolution,
    Padding,
    in_place,
    pointwise,
    to_grid,
    to_tokens,
)
from polymorph_ros.model.linear import InferenceLinear
from polymorph_ros.model.network import BlockUpdates, LoraMap, Work
from polymorph_ros.model.updates import with_update

Pair = tuple[str, str]  # names of a convolution and of the batch norm behind it


@dataclass(frozen=True)
class BottleneckNames:
    """Where a family has the parts of a block, by names inside it.

    Attributes:
        expand, depthwise, project: convolutions with their batch norms; a block may lack the first.
        activation: after ``expand`` and ``depthwise``.
        squeeze, excite: the convolutions of squeeze-and-excite; "": the family has none.
        residual: whether a block adds its input to its output.
        padding: of a block's depthwise convolution.
    """

    expand: Pair
    depthwise: Pair
    project: Pair
    activation: str
    residual: Callable[[nn.Module], bool]
    padding: Callable[[nn.Module], Padding]
    squeeze: str = ""
    excite: str = ""


class Bottleneck(GridBlock):
    """Expand, depthwise convolution, squeeze-and-excite where there is one, project.

    Args:
        block: the model's own.
        names: of its parts.

    Attributes:
        lora_maps: those of its maps that may have LoRA, by target.
    """

    def __init__(self, block: nn.Module, names: BottleneckNames) -> None:
        super().__init__()
        self.lora_maps = {}
        self._activate = in_place(block.get_submodule(names.activation))
        self._residual = names.residual(block)
        self.depthwise = GridConvolution(*pair_of(block, names.depthwise), names.padding(block))
        self.project = self._linear("project", *pair_of(block, names.project))
        self.inputs = self.depthwise.inputs
        self.expand = self.squeeze = self.excite = None
        if getattr(block, names.expand[0].split(".")[0], None) is not None:
            self.expand = self._linear("expand", *pair_of(block, names.expand))
            self.inputs = self.expand.in_features
        if names.squeeze:
            self.squeeze = self._linear("squeeze", convolution_of(block, names.squeeze))
            self.excite = self._linear("excite", convolution_of(block, names.excite))

    def forward(self, tokens: Tensor, updates: BlockUpdates = NO_UPDATES, count: int = 1) -> Tensor:
        """Tokens (B, N, D), of pictures or of adapters, to those of the next block."""
        hidden = tokens
        if self.expand is not None:
            wide = with_update(self.expand(tokens), tokens, updates.get("expand"))
            hidden = self._activate(wide)
        hidden = self._activate(to_tokens(self.depthwise(to_grid(hidden))))
        if self.squeeze is not None and self.excite is not None:
            mean = hidden.mean(dim=1, keepdim=True)
            small = with_update(self.squeeze(mean), mean, updates.get("squeeze"))
            small = self._activate(small)
            gate = with_update(self.excite(small), small, updates.get("excite"))
            hidden = hidden * gate.sigmoid_()
        out = with_update(self.project(hidden), hidden, updates.get("project"))
        return out.add_(tokens) if self._residual else out

    def work(self, tokens: int, *, shared: bool) -> Work:
        """Its maps on the positions before and after the depthwise convolution."""
        side = math.isqrt(tokens)
        after = self.depthwise.side(side) ** 2
        rows = {"expand": tokens, "squeeze": 1, "excite": 1, "project": after}
        own = after * self.depthwise.weight_at(side).numel()
        for target, map_ in self.lora_maps.items():
            if not (shared and target == "expand"):
                own += rows[target] * map_.inputs * map_.outputs
        return Work(own, {target: rows[target] for target in self.lora_maps}, after)

    def _linear(
        self, target: str, convolution: nn.Conv2d, norm: nn.BatchNorm2d | None = None
    ) -> InferenceLinear:
        linear, gain = pointwise(convolution, norm)
        sizes = linear.in_features, linear.out_features
        self.lora_maps = {**self.lora_maps, target: LoraMap(*sizes, convolution=True, gain=gain)}
        return linear


@dataclass(frozen=True)
class BottleneckFamily(ConvFamily):
    """What differs between networks of inverted bottlenecks.

    Attributes:
        names: of the parts of a block.
        stem_pair: the first convolution and its batch norm.
        stem_activation: after them.
        stem_padding: of the first convolution.
        stem_block: a block without residual that belongs to the stem; "": none.
        head_pair: the convolution after the last block and its batch norm.
        head_activation: after them.
    """

    names: BottleneckNames
    stem_pair: Pair
    stem_activation: str
    stem_padding: Callable[[nn.Module], Padding]
    stem_block: str
    head_pair: Pair
    head_activation: str

    def check(self, config: Any, where: str) -> None:
        """Refuses a pooling other than the mean."""
        pooling = getattr(config, "pooling_type", "mean")
        if pooling != "mean":
            raise PolymorphError("pooling_type mean", repr(pooling), where=where)

    def read_stem(self, model: nn.Module) -> nn.Module:
        """The first convolution, and the block that belongs to the stem."""
        block = model.get_submodule(self.stem_block) if self.stem_block else None
        return _Stem(
            GridConvolution(*pair_of(model, self.stem_pair), self.stem_padding(model)),
            in_place(model.get_submodule(self.stem_activation)),
            None if block is None else Bottleneck(block, replace(self.names, residual=_never)),
        )

    def read_block(self, model: nn.Module, block: int) -> Bottleneck:
        """A block as it takes tokens."""
        return Bottleneck(model.get_submodule(self.spelling.block_name(block)), self.names)

    def read_pool(self, model: nn.Module) -> Pool:
        """The head convolution and the mean."""
        linear, gain = pointwise(*pair_of(model, self.head_pair))
        activation = in_place(model.get_submodule(self.head_activation))
        return Pool(linear.out_features, (linear, gain), activation)


class _Stem(nn.Module):
    """Pixels (B, 3, S, S), channels last, to tokens."""

    def __init__(
        self,
        convolution: GridConvolution,
        activate: Callable[[Tensor], Tensor],
        block: Bottleneck | None,
    ) -> None:
        super().__init__()
        self.convolution, self.block, self._activate = convolution, block, activate

    def forward(self, pixels: Tensor) -> Tensor:
        tokens = to_tokens(self._activate(self.convolution(pixels)))
        return tokens if self.block is None else cast(Tensor, self.block(tokens))


def _never(block: nn.Module) -> bool:
    return False


def pair_of(module: nn.Module, names: Pair) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """A convolution inside a module, and the batch norm behind it."""
    return convolution_of(module, names[0]), cast(nn.BatchNorm2d, module.get_submodule(names[1]))


def convolution_of(module: nn.Module, name: str) -> nn.Conv2d:
    """A convolution inside a module."""
    return cast(nn.Conv2d, module.get_submodule(name))
