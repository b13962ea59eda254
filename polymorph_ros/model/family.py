"""What differs between vision transformers: names, positions, pooling, and a block's weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

import torch
from torch import Tensor, nn

from polymorph_ros.errors import PolymorphError

# The linear maps of a block that may have LoRA, in the order of a block's computation. Only a
# gated MLP has ``gate``: its hidden layer is activation(gate(x)) * fc1(x), not activation(fc1(x)).
TARGETS = ("q", "k", "v", "o", "gate", "fc1", "fc2")

Statistics = tuple[float, float, float]


@dataclass(frozen=True)
class LinearWeights:
    """One linear map: ``y = x @ weight.T + bias``.

    Attributes:
        weight: float tensor (out, in).
        bias: float tensor (out,); zeros where the checkpoint has none.
    """

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class NormWeights:
    """One layer norm: weight and bias of shape (D,), and its epsilon."""

    weight: Tensor
    bias: Tensor
    eps: float


@dataclass(frozen=True)
class BlockWeights:
    """The weights of one pre-norm transformer block.

    Attributes:
        norm1, norm2: layer norms before attention and before the MLP.
        linear: the linear maps by target name; those of ``TARGETS`` that the family has.
        scale1, scale2: layer scales (D,) on the two branches, or None where the family has none.
        activation: the MLP's activation function.
        heads: number of attention heads.
    """

    norm1: NormWeights
    norm2: NormWeights
    linear: Mapping[str, LinearWeights]
    scale1: Tensor | None
    scale2: Tensor | None
    activation: Callable[[Tensor], Tensor]
    heads: int


@dataclass(frozen=True)
class Spelling:
    """Names of a block's linear maps, as one generation of transformers spells them."""

    blocks: str
    targets: Mapping[str, str]

    @cached_property
    def _modules(self) -> re.Pattern[str]:
        names = "|".join(re.escape(name) for name in self.targets.values())
        # A checkpoint with two towers has blocks of the same names in the one that reads texts.
        before = r"(?!.*\btext_model\.)(?:^|.*\.)"
        return re.compile(rf"{before}{re.escape(self.blocks)}\.(\d+)\.({names})$")

    def module_name(self, block: int, target: str) -> str:
        """The full name of a linear map, such as ``layers.11.mlp.fc2``."""
        return f"{self.blocks}.{block}.{self.targets[target]}"

    def locate(self, module: str) -> tuple[int, str] | None:
        """(block index, target) of a module name, or None if it is none of the targets."""
        match = self._modules.match(module)
        if match is None:
            return None
        return int(match[1]), next(t for t, name in self.targets.items() if name == match[2])


@dataclass(frozen=True)
class Family:
    """What differs between backbone families.

    Attributes:
        name: the family's name.
        model_types: the ``model_type`` values of the transformers configurations it serves.
        spelling: where blocks and their linear maps are; ``old_spelling``: the same in
            transformers 4, in whose names older PEFT adapters are written.
        norms, scales: names inside a block of the two layer norms and of the two layer scales.
        activation: name inside a block of the MLP's activation function.
        final_norm: name of the layer norm after the last block.
        class_tokens: tokens before the registers and patches; with any, the feature is token 0
            after the final norm, without, an attention pooling of all tokens.
        mean, std: of the pixels in [0, 1] that it was trained on, where a checkpoint does not say.
        asks_for_resize: the embedding resizes its positions only on request.
        rotary: positions are rotations of queries and keys in every block.
        takes_patches: the embedding takes flattened patches and their grid instead of a picture.
        load_arguments: extra arguments of the model's constructor.
    """

    name: str
    model_types: tuple[str, ...]
    spelling: Spelling
    old_spelling: Spelling
    norms: tuple[str, str]
    scales: tuple[str, str] | None
    activation: str
    final_norm: str
    class_tokens: int
    mean: Statistics
    std: Statistics
    asks_for_resize: bool = False
    rotary: bool = False
    takes_patches: bool = False
    load_arguments: Mapping[str, object] = field(default_factory=dict)

    @property
    def targets(self) -> tuple[str, ...]:
        """The LoRA targets of its blocks."""
        return tuple(target for target in TARGETS if target in self.spelling.targets)

    @property
    def gated(self) -> bool:
        """Whether its MLP has a gate."""
        return "gate" in self.spelling.targets

    def blocks(self, model: nn.Module) -> nn.ModuleList:
        """The transformer blocks in order."""
        return cast(nn.ModuleList, model.get_submodule(self.spelling.blocks))

    def embed(self, model: nn.Module, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, S, S) to tokens (B, N, D); positions are resized if S needs it."""
        embeddings = model.get_submodule("embeddings")
        if self.takes_patches:
            return cast(Tensor, embeddings(*_patches(pixels, cast(int, embeddings.patch_size))))
        if not self.asks_for_resize:
            return cast(Tensor, embeddings(pixels))
        trained = cast("int | Iterable[int]", embeddings.image_size)
        sides = {trained} if isinstance(trained, int) else set(trained)
        resize = sides != set(pixels.shape[-2:])
        return cast(Tensor, embeddings(pixels, interpolate_pos_encoding=resize))

    def rotation(self, model: nn.Module, size: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines (patches, length of a head) of a rotary family.

        Args:
            size: side of the picture, pixels.
            like: a tensor of the wanted device and dtype.
        """
        shape_only = like.new_empty(()).expand(1, 1, size, size)
        rotary = model.get_submodule("rope_embeddings")
        return cast("tuple[Tensor, Tensor]", rotary(shape_only))

    def locate(self, module: str) -> tuple[int, str] | None:
        """(block index, target) of a module name in the new or the old spelling, or None."""
        return self.spelling.locate(module) or self.old_spelling.locate(module)

    def alike(self, modules: Sequence[str], num_blocks: int) -> list[str]:
        """Names of all LoRA targets of the model that names some as given; none if none does."""
        for spelling in (self.spelling, self.old_spelling):
            places = [spelling.locate(module) for module in modules]
            if None not in places and (first := places[0]) is not None:
                before = modules[0].removesuffix(spelling.module_name(*first))
                return [
                    before + spelling.module_name(block, target)
                    for block in range(num_blocks)
                    for target in spelling.targets
                ]
        return []

    def read_block(self, block: nn.Module, heads: int) -> BlockWeights:
        """The weights of one block, as views of its parameters."""
        linear = {t: read_linear(block.get_submodule(n)) for t, n in self.spelling.targets.items()}
        norm1, norm2 = (read_norm(block.get_submodule(name)) for name in self.norms)
        scale1, scale2 = (None, None) if self.scales is None else _scales(block, self.scales)
        activation = block.get_submodule(self.activation)
        return BlockWeights(norm1, norm2, linear, scale1, scale2, activation, heads)


def read_linear(module: nn.Module) -> LinearWeights:
    """The weights of a linear layer."""
    weight = module.get_parameter("weight").detach()
    bias = cast("Tensor | None", module.bias)
    return LinearWeights(weight, weight.new_zeros(len(weight)) if bias is None else bias.detach())


def read_norm(module: nn.Module) -> NormWeights:
    """The weights of a layer norm."""
    norm = cast(nn.LayerNorm, module)
    return NormWeights(norm.weight.detach(), norm.bias.detach(), norm.eps)


def _scales(block: nn.Module, names: tuple[str, str]) -> tuple[Tensor, Tensor]:
    first, second = (block.get_parameter(f"{name}.lambda1").detach() for name in names)
    return first, second


def _patches(pixels: Tensor, patch: int) -> tuple[Tensor, Tensor]:
    """Pixels (B, 3, S, S) to flattened patches (B, P, patch * patch * 3) and their grids (B, 2)."""
    batch, channels, height, width = pixels.shape
    rows, columns = height // patch, width // patch
    cells = pixels.reshape(batch, channels, rows, patch, columns, patch).permute(0, 2, 4, 3, 5, 1)
    grids = torch.tensor([[rows, columns]]).expand(batch, -1)
    return cells.reshape(batch, rows * columns, -1), grids


def lora_targets(
    family: Family, num_blocks: int, tail_blocks: int, targets: Iterable[str]
) -> list[str]:
    """Full module names for PEFT's ``LoraConfig(target_modules=...)``, the last K blocks only.

    Full names need no ``layers_to_transform``, and PEFT opens such an adapter with any spelling
    of its own matching rules.

    >>> from polymorph_ros.model.families import VIT
    >>> lora_targets(VIT, 12, 1, ["q", "fc2"])
    ['layers.11.attention.q_proj', 'layers.11.mlp.fc2']

    Raises:
        PolymorphError: none is given, or one that the family's blocks lack.
    """
    chosen = list(targets)
    unknown = [target for target in chosen if target not in family.targets]
    if unknown or not chosen:
        raise PolymorphError(
            f"LoRA targets out of {', '.join(family.targets)}, which {family.name} has",
            ", ".join(unknown) or "none",
        )
    return [
        family.spelling.module_name(block, target)
        for block in range(num_blocks - tail_blocks, num_blocks)
        for target in chosen
    ]
