"""Vision transformers: pre-norm blocks of attention and an MLP over tokens."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from polymorph_ros.model.attention_pool import AttentionPool
from polymorph_ros.model.family import Family
from polymorph_ros.model.network import LoraMap, TailBlock
from polymorph_ros.model.transformer_blocks import (
    TARGETS,
    BlockWeights,
    ClassTokenBlock,
    FullBlock,
    LastFullBlock,
    Rotations,
)
from polymorph_ros.model.weights import read_linear, read_norm


@dataclass(frozen=True)
class TransformerFamily(Family):
    """What differs between vision transformers.

    Attributes:
        norms, scales: names inside a block of the two layer norms and of the two layer scales.
        activation: name inside a block of the MLP's activation function.
        final_norm: name of the layer norm after the last block.
        class_tokens: tokens before the registers and patches; with any, the feature is token 0
            after the final norm, without, an attention pooling of all tokens.
        asks_for_resize: the embedding resizes its positions only on request.
        rotary: positions are rotations of queries and keys in every block.
        takes_patches: the embedding takes flattened patches and their grid instead of a picture.
    """

    norms: tuple[str, str]
    scales: tuple[str, str] | None
    activation: str
    final_norm: str
    class_tokens: int
    asks_for_resize: bool = False
    rotary: bool = False
    takes_patches: bool = False

    @property
    def gated(self) -> bool:
        """Whether its MLP has a gate."""
        return "gate" in self.spelling.targets

    @property
    def targets(self) -> tuple[str, ...]:
        """The LoRA targets of its blocks, in the order of a block's computation."""
        return tuple(target for target in TARGETS if target in self.spelling.targets)

    def serves(self, config: Any) -> bool:
        """Whether a configuration is of this family: its MLP has a gate or not, too."""
        gated = any(getattr(config, name, False) for name in ("use_swiglu_ffn", "use_gated_mlp"))
        return super().serves(config) and gated == self.gated

    def side_step_of(self, config: Any) -> int:
        """Side of a patch."""
        return _side(config.patch_size)

    def network(self, model: nn.Module, config: Any) -> Transformer:
        """The parts of a loaded model."""
        return Transformer(model, self, config)

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

    def read_block(self, block: nn.Module, heads: int) -> BlockWeights:
        """The weights of one block, as views of its parameters."""
        linear = {t: read_linear(block.get_submodule(n)) for t, n in self.spelling.targets.items()}
        norm1, norm2 = (read_norm(block.get_submodule(name)) for name in self.norms)
        scale1, scale2 = (None, None) if self.scales is None else _scales(block, self.scales)
        activation = block.get_submodule(self.activation)
        return BlockWeights(norm1, norm2, linear, scale1, scale2, activation, heads)


class Transformer:
    """The parts of a vision transformer (a ``Network``).

    Attributes:
        heads: attention heads.
    """

    def __init__(self, model: nn.Module, family: TransformerFamily, config: Any) -> None:
        self.family = family
        self.heads = int(config.num_attention_heads)
        self.feature_size = int(config.hidden_size)
        self.patch_size = family.side_step_of(config)
        self.num_blocks = len(family.blocks(model))
        self.prefix_tokens = family.class_tokens + int(getattr(config, "num_register_tokens", 0))
        self._model = model
        self.lora_maps: Mapping[tuple[int, str], LoraMap] = {
            (index, target): LoraMap(linear.in_features, linear.out_features)
            for index, block in enumerate(family.blocks(model))
            for target, name in family.spelling.targets.items()
            for linear in [cast(nn.Linear, block.get_submodule(name))]
        }

    @property
    def final_norm(self) -> nn.Module:
        """The layer norm after the last block."""
        return self._model.get_submodule(self.family.final_norm)

    @property
    def attention_pooling(self) -> nn.Module | None:
        """The head that pools all tokens, of a family without a class token."""
        return None if self.family.class_tokens else self._model.get_submodule("head")

    def to(self, device: torch.device | None, dtype: torch.dtype | None) -> None:
        """It has no weights beside the model's."""

    def token_size(self, start: int) -> int:
        """The same between all blocks."""
        return self.feature_size

    def trunk(self, pixels: Tensor, start: int) -> Tensor:
        """Pixels to tokens: ``prefix_tokens`` (token 0 is the class token), then patches."""
        return self._run(self.trunk_modules(start), self.family.embed(self._model, pixels))

    def tail(self, tokens: Tensor, start: int) -> Tensor:
        """Tokens to features: the class token after the final norm, or the attention pooling."""
        tokens = self._run(self.tail_modules(start), tokens)
        pooling = self.attention_pooling
        if pooling is None:
            return cast(Tensor, self.final_norm(tokens[:, 0]))
        return cast(Tensor, pooling(self.final_norm(tokens)))

    def last_tokens(self, tokens: Tensor, start: int) -> Tensor:
        """Tokens to those after the final norm."""
        return cast(Tensor, self.final_norm(self._run(self.tail_modules(start), tokens)))

    def trainable_feature(self, pixels: Tensor) -> Tensor:
        """Pixels to features by the model's modules."""
        return self.tail(self.trunk(pixels, 0), 0)

    feature = trainable_feature  # the modules are as fast as anything else

    def trunk_modules(self, start: int) -> list[nn.Module]:
        """The blocks before ``start``."""
        return list(self.family.blocks(self._model)[:start])

    def tail_modules(self, start: int) -> list[nn.Module]:
        """The blocks from ``start`` on."""
        return list(self.family.blocks(self._model)[start:])

    def tail_weights(self, start: int) -> list[BlockWeights]:
        """The weights of the blocks from ``start`` on."""
        return [self.family.read_block(b, self.heads) for b in self.tail_modules(start)]

    def tail_blocks(self, start: int) -> Sequence[TailBlock]:
        """The last one for the class token only, where there is one."""
        *blocks, last = self.tail_weights(start)
        rotations = Rotations(self.rotation, self.prefix_tokens)
        full = [FullBlock(block, rotations) for block in blocks]
        pooling = self.attention_pooling
        if pooling is None:
            return [*full, ClassTokenBlock(last, rotations, self.final_norm)]
        return [*full, LastFullBlock(last, rotations, self.final_norm, AttentionPool(pooling))]

    def rotation(self, tokens: Tensor) -> tuple[Tensor, Tensor] | None:
        """What a rotary family turns queries and keys of the patches by; None for the others.

        Args:
            tokens: (B, N, D); its patches are a square grid.

        Returns:
            cosines and sines, (patches, length of a head), of the tokens' device and dtype.
        """
        if not self.family.rotary:
            return None
        side = math.isqrt(tokens.shape[1] - self.prefix_tokens)
        return self.family.rotation(self._model, side * self.patch_size, tokens)

    def _run(self, blocks: Iterable[nn.Module], tokens: Tensor) -> Tensor:
        rotation = self.rotation(tokens)
        positions = {} if rotation is None else {"position_embeddings": rotation}
        for block in blocks:
            tokens = block(tokens, attention_mask=None, **positions)
        return tokens


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


def _side(size: int | Iterable[int]) -> int:
    return size if isinstance(size, int) else int(next(iter(size)))
