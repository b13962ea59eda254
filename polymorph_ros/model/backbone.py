"""The frozen backbone: loaded through transformers, split into a trunk and a tail."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel
from transformers.utils import logging

from polymorph_ros.bundle.manifest import TailTokens
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.families import family_of
from polymorph_ros.model.family import BlockWeights, Family, lora_targets
from polymorph_ros.model.linear import InferenceLinear, replace_linear
from polymorph_ros.model.token_grid import pool_patches

transformers_logging: Any = logging  # its functions have no types


class Backbone:
    """A frozen vision transformer in evaluation mode.

    Attributes:
        model: the transformers model; its parameters need no gradient.
        family: what is special about it.
        hidden_size: D, length of a token.
        heads: attention heads.
        num_blocks: transformer blocks in all.
        patch_size: side of a patch, pixels.
        prefix_tokens: class and register tokens, which stand before the patches.
    """

    def __init__(self, model: nn.Module, family: Family, config: Any) -> None:
        self.model = model.requires_grad_(False).eval()
        replace_linear(self.model, nn.Linear, InferenceLinear)
        self.family = family
        self.hidden_size = int(config.hidden_size)
        self.heads = int(config.num_attention_heads)
        self.patch_size = _side(config.patch_size)
        self.num_blocks = len(family.blocks(model))
        registers = getattr(config, "num_register_tokens", 0)
        self.prefix_tokens = family.class_tokens + int(registers)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """What its embedding and its tail compute in."""
        return next(self.model.parameters()).dtype

    @property
    def final_norm(self) -> nn.Module:
        """The layer norm after the last block."""
        return self.model.get_submodule(self.family.final_norm)

    @property
    def attention_pooling(self) -> nn.Module | None:
        """The head that pools all tokens, of a family without a class token."""
        return None if self.family.class_tokens else self.model.get_submodule("head")

    def to(self, device: torch.device | str) -> Backbone:
        """Moves the weights; returns itself."""
        self.model.to(device)
        return self

    def trunk(self, pixels: Tensor, tail_blocks: int) -> Tensor:
        """Runs the embedding and all but the last K blocks.

        Args:
            pixels: float (B, 3, S, S), preprocessed.
            tail_blocks: K; 1 to ``num_blocks``.

        Returns:
            tokens, float (B, N, D): ``prefix_tokens`` (token 0 is the class token), then patches.
        """
        tokens = self.family.embed(self.model, pixels.to(self.dtype))
        return self._run(self.trunk_modules(tail_blocks), tokens)

    def tail_input(self, tokens: Tensor, which: TailTokens) -> Tensor:
        """What of the trunk's tokens (B, N, D) the tail gets: (B, N or fewer, D).

        Places of pooled patches are the middles of their squares, where positions are rotations;
        where they were added in the embedding they are averaged as everything else.
        """
        return tokens if which == "all" else pool_patches(tokens, self.prefix_tokens)

    def tail(self, tokens: Tensor, tail_blocks: int) -> Tensor:
        """Runs the last K blocks and the pooling as the modules they are, with autograd.

        With LoRA injected by PEFT these are PEFT's own layers: what adapters are trained with from
        cached trunk tokens, and what the composed tails are compared with.

        Args:
            tokens: float (B, N, D), as ``tail_input`` gives them.
            tail_blocks: K.

        Returns:
            pooled feature, float (B, D): the class token after the final norm, or what the
            family's attention pooling makes of all tokens after it.
        """
        tokens = self._run(self.tail_modules(tail_blocks), tokens)
        pooling = self.attention_pooling
        if pooling is None:
            return cast(Tensor, self.final_norm(tokens[:, 0]))
        return cast(Tensor, pooling(self.final_norm(tokens)))

    def trunk_modules(self, tail_blocks: int) -> list[nn.Module]:
        """All blocks but the last K."""
        return list(self.family.blocks(self.model)[: self._tail_start(tail_blocks)])

    def tail_modules(self, tail_blocks: int) -> list[nn.Module]:
        """The last K blocks (with LoRA inside once PEFT has put it there)."""
        return list(self.family.blocks(self.model)[self._tail_start(tail_blocks) :])

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
        return self.family.rotation(self.model, side * self.patch_size, tokens)

    def _run(self, blocks: Iterable[nn.Module], tokens: Tensor) -> Tensor:
        rotation = self.rotation(tokens)
        positions = {} if rotation is None else {"position_embeddings": rotation}
        for block in blocks:
            tokens = block(tokens, attention_mask=None, **positions)
        return tokens

    def tail_weights(self, tail_blocks: int) -> list[BlockWeights]:
        """The weights of the last K blocks."""
        return [self.family.read_block(b, self.heads) for b in self.tail_modules(tail_blocks)]

    def lora_targets(self, tail_blocks: int, targets: Iterable[str]) -> list[str]:
        """Full names of the last K blocks' linear maps, for PEFT's ``LoraConfig``."""
        self._tail_start(tail_blocks)
        return lora_targets(self.family, self.num_blocks, tail_blocks, targets)

    def _tail_start(self, tail_blocks: int) -> int:
        if not 1 <= tail_blocks <= self.num_blocks:
            raise PolymorphError(
                f"1 to {self.num_blocks} tail blocks (the backbone's depth)", str(tail_blocks)
            )
        return self.num_blocks - tail_blocks


def load_backbone(
    name: str | Path, revision: str | None = None, *, download: bool = True
) -> Backbone:
    """Loads a backbone from a folder or the Hugging Face Hub; safetensors only, float32.

    Args:
        name: a folder with ``config.json`` and ``model.safetensors``, or a Hub name. Of a
            checkpoint with a vision and a text tower the vision tower is loaded.
        revision: the Hub revision; None for the newest.
        download: whether a Hub name that is not in the local cache may be fetched.

    Raises:
        PolymorphError: it cannot be read, is of an unsupported family, or lacks weights.
    """
    local = Path(name).is_dir() or not download
    where = f"backbone {name}"
    try:
        config = AutoConfig.from_pretrained(name, revision=revision, local_files_only=local)
    except (OSError, ValueError) as error:
        raise _unreadable(error, name, download) from error
    config = getattr(config, "vision_config", config)  # of a checkpoint that reads texts too
    family = family_of(config, where)
    if not getattr(config, "vision_use_head", True):
        raise PolymorphError("a pooling head", "vision_use_head = False", where=where)
    try:
        with _quiet_transformers():
            model, info = AutoModel.from_pretrained(
                name,
                config=config,
                revision=revision,
                local_files_only=local,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                **family.load_arguments,
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise _unreadable(error, name, download) from error
    _check_complete(model, info, where)
    return Backbone(model, family, config)


def _check_complete(model: nn.Module, info: Any, where: str) -> None:
    # The mask token is only used in pretraining.
    missing = sorted(key for key in info["missing_keys"] if not key.endswith("mask_token"))
    if missing:
        raise PolymorphError(
            "every weight of the backbone",
            f"{len(missing)} missing, first {missing[0]}",
            where=where,
        )
    for key, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            raise PolymorphError("finite weights", f"NaN or infinity in {key}", where=where)


def _unreadable(error: Exception, name: str | Path, download: bool) -> PolymorphError:
    if Path(name).is_dir():
        remedy = "check the folder's files"
    elif download:
        remedy = "check the name and the network"
    else:
        remedy = f"fetch it into the local cache once: hf download {name}"
    return PolymorphError(
        "config.json and model.safetensors of a transformers backbone",
        (str(error).strip() or type(error).__name__).splitlines()[0],
        where=f"backbone {name}",
        remedy=remedy,
    )


def _side(size: int | Iterable[int]) -> int:
    return size if isinstance(size, int) else int(next(iter(size)))


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Keeps progress bars and notes about unused pooler weights out of a robot's log."""
    level = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
