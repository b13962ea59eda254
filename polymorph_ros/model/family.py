"""Backbone families: what differs between vision transformers, told once per family."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

from torch import Tensor, nn

from polymorph_ros.errors import PolymorphError

# The linear maps of a block that may carry LoRA, in the order of a block's computation.
TARGETS = ("q", "k", "v", "o", "fc1", "fc2")


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
        linear: the linear maps by target name (``TARGETS``).
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
        return re.compile(rf"(?:^|.*\.){re.escape(self.blocks)}\.(\d+)\.({names})$")

    def module_name(self, block: int, target: str) -> str:
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
        asks_for_resize: the embedding resizes its positions only when told to.
        load_arguments: extra arguments of the model's constructor.
    """

    name: str
    model_types: tuple[str, ...]
    spelling: Spelling
    old_spelling: Spelling
    norms: tuple[str, str]
    scales: tuple[str, str] | None
    asks_for_resize: bool
    load_arguments: Mapping[str, object] = field(default_factory=dict)

    def blocks(self, model: nn.Module) -> nn.ModuleList:
        """The transformer blocks in order."""
        return cast(nn.ModuleList, model.get_submodule(self.spelling.blocks))

    def final_norm(self, model: nn.Module) -> nn.Module:
        """The layer norm after the last block."""
        return model.get_submodule("layernorm")

    def embed(self, model: nn.Module, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, S, S) to tokens (B, N, D); positions are resized if S needs it."""
        embeddings = model.get_submodule("embeddings")
        if not self.asks_for_resize:
            return cast(Tensor, embeddings(pixels))
        trained = tuple(cast(Iterable[int], embeddings.image_size))
        resize = tuple(pixels.shape[-2:]) != trained
        return cast(Tensor, embeddings(pixels, interpolate_pos_encoding=resize))

    def locate(self, module: str) -> tuple[int, str] | None:
        """(block index, target) of a module name in the new or the old spelling, or None."""
        return self.spelling.locate(module) or self.old_spelling.locate(module)

    def read_block(self, block: nn.Module, heads: int) -> BlockWeights:
        """The weights of one block, as views of its parameters.

        Raises:
            PolymorphError: the block has no plain two-layer MLP (for instance SwiGLU).
        """
        try:
            linear = {t: _linear(block.get_submodule(n)) for t, n in self.spelling.targets.items()}
            activation = block.get_submodule("mlp.activation_fn")
        except AttributeError as error:
            raise PolymorphError(
                f"a {self.name} block with {', '.join(self.spelling.targets.values())}",
                f"a block without one of them ({error})",
                remedy="use a checkpoint with a plain MLP",
            ) from error
        norm1, norm2 = (_norm(block.get_submodule(name)) for name in self.norms)
        scale1, scale2 = (None, None) if self.scales is None else self._scales(block, self.scales)
        return BlockWeights(norm1, norm2, linear, scale1, scale2, activation, heads)

    @staticmethod
    def _scales(block: nn.Module, names: tuple[str, str]) -> tuple[Tensor, Tensor]:
        first, second = (block.get_parameter(f"{name}.lambda1").detach() for name in names)
        return first, second


def _linear(module: nn.Module) -> LinearWeights:
    weight = module.get_parameter("weight").detach()
    bias = cast("Tensor | None", module.bias)
    return LinearWeights(weight, weight.new_zeros(len(weight)) if bias is None else bias.detach())


def _norm(module: nn.Module) -> NormWeights:
    norm = cast(nn.LayerNorm, module)
    return NormWeights(norm.weight.detach(), norm.bias.detach(), norm.eps)


_TARGET_NAMES = {
    "q": "attention.q_proj",
    "k": "attention.k_proj",
    "v": "attention.v_proj",
    "o": "attention.o_proj",
    "fc1": "mlp.fc1",
    "fc2": "mlp.fc2",
}
_OLD_ATTENTION_NAMES = {
    "q": "attention.attention.query",
    "k": "attention.attention.key",
    "v": "attention.attention.value",
    "o": "attention.output.dense",
}

VIT = Family(
    name="ViT/DeiT",
    model_types=("vit", "deit"),
    spelling=Spelling("layers", _TARGET_NAMES),
    old_spelling=Spelling(
        "encoder.layer",
        _OLD_ATTENTION_NAMES | {"fc1": "intermediate.dense", "fc2": "output.dense"},
    ),
    norms=("layernorm_before", "layernorm_after"),
    scales=None,
    asks_for_resize=True,
    load_arguments={"add_pooling_layer": False},
)

DINOV2 = Family(
    name="DINOv2",
    model_types=("dinov2", "dinov2_with_registers"),
    spelling=Spelling("encoder.layer", _TARGET_NAMES),
    old_spelling=Spelling(
        "encoder.layer", _OLD_ATTENTION_NAMES | {"fc1": "mlp.fc1", "fc2": "mlp.fc2"}
    ),
    norms=("norm1", "norm2"),
    scales=("layer_scale1", "layer_scale2"),
    asks_for_resize=False,
)

FAMILIES = (VIT, DINOV2)


def family_of(model_type: str, where: str = "") -> Family:
    """The family that serves a transformers ``model_type``.

    Raises:
        PolymorphError: no family serves it; names those that are supported.
    """
    for family in FAMILIES:
        if model_type in family.model_types:
            return family
    supported = ", ".join(t for family in FAMILIES for t in family.model_types)
    raise PolymorphError(
        f"a backbone of a supported family ({supported})", f"model type {model_type!r}", where=where
    )


def lora_targets(
    family: Family, num_blocks: int, tail_blocks: int, targets: Iterable[str]
) -> list[str]:
    """Full module names for PEFT's ``LoraConfig(target_modules=...)``, the last K blocks only.

    Full names need no ``layers_to_transform``, and PEFT opens such an adapter with any spelling
    of its own matching rules.

    >>> lora_targets(VIT, 12, 1, ["q", "fc2"])
    ['layers.11.attention.q_proj', 'layers.11.mlp.fc2']

    Raises:
        PolymorphError: a name is none of ``TARGETS``.
    """
    chosen = list(targets)
    unknown = [target for target in chosen if target not in TARGETS]
    if unknown or not chosen:
        raise PolymorphError(
            f"LoRA targets out of {', '.join(TARGETS)}", ", ".join(unknown) or "none"
        )
    return [
        family.spelling.module_name(block, target)
        for block in range(num_blocks - tail_blocks, num_blocks)
        for target in chosen
    ]
