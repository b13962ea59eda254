"""The frozen backbone: loaded through transformers, split into a trunk and a tail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel
from transformers.utils import logging

from polymorph_ros.bundle.manifest import TailTokens
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.families import family_of
from polymorph_ros.model.family import Family, lora_targets
from polymorph_ros.model.linear import InferenceLinear, replace_linear
from polymorph_ros.model.network import TailBlock
from polymorph_ros.model.token_grid import pool_patches

transformers_logging: Any = logging  # its functions have no types
_UNUSED = ("mask_token", "num_batches_tracked")


class Backbone:
    """A frozen network in evaluation mode, split into a trunk and a tail.

    Attributes:
        model: the transformers model; its parameters need no gradient.
        family: what is special about it.
        network: its parts.
    """

    def __init__(self, model: nn.Module, family: Family, config: Any) -> None:
        self.model = model.requires_grad_(False).eval()
        replace_linear(self.model, nn.Linear, InferenceLinear)
        self.family = family.of(self.model)
        self.network = self.family.network(self.model, config)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """What its embedding and its tail compute in."""
        return next(self.model.parameters()).dtype

    @property
    def num_blocks(self) -> int:
        """Blocks in all."""
        return self.network.num_blocks

    @property
    def hidden_size(self) -> int:
        """Length of the pooled feature, which heads read."""
        return self.network.feature_size

    @property
    def patch_size(self) -> int:
        """What a picture's side must be divisible by, pixels."""
        return self.network.patch_size

    @property
    def prefix_tokens(self) -> int:
        """Class and register tokens, which stand before the patches or positions."""
        return self.network.prefix_tokens

    def token_size(self, tail_blocks: int) -> int:
        """Length of the trunk's tokens, which the scout reads."""
        return self.network.token_size(self._tail_start(tail_blocks))

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Backbone:
        """Moves or casts the weights; returns itself."""
        place = None if device is None else torch.device(device)
        self.model.to(device=place, dtype=dtype)
        self.network.to(place, dtype)
        return self

    def trunk(self, pixels: Tensor, tail_blocks: int) -> Tensor:
        """Runs all but the last K blocks.

        Args:
            pixels: float (B, 3, S, S), preprocessed.
            tail_blocks: K; 1 to ``num_blocks``.

        Returns:
            tokens, float (B, N, D): ``prefix_tokens`` (token 0 is the class token), then patches
            or positions, row by row.
        """
        return self.network.trunk(pixels.to(self.dtype), self._tail_start(tail_blocks))

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
            pooled feature, float (B, F).
        """
        return self.network.tail(tokens, self._tail_start(tail_blocks))

    def last_tokens(self, tokens: Tensor, tail_blocks: int) -> Tensor:
        """The same without the pooling: tokens after the last block, float (B, N, F)."""
        return self.network.last_tokens(tokens, self._tail_start(tail_blocks))

    def feature(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, S, S) to features (B, F) of the frozen network, without adapters."""
        return self.network.feature(pixels.to(self.dtype))

    def trainable_feature(self, pixels: Tensor) -> Tensor:
        """The same through the model's own modules, with autograd."""
        return self.network.trainable_feature(pixels.to(self.dtype))

    def trunk_modules(self, tail_blocks: int) -> list[nn.Module]:
        """All blocks but the last K, as the trunk runs them."""
        return self.network.trunk_modules(self._tail_start(tail_blocks))

    def tail_modules(self, tail_blocks: int) -> list[nn.Module]:
        """The model's last K blocks (with LoRA inside once PEFT has put it there)."""
        return self.network.tail_modules(self._tail_start(tail_blocks))

    def tail_blocks(self, tail_blocks: int) -> Sequence[TailBlock]:
        """The last K blocks as they run for several adapters side by side."""
        return self.network.tail_blocks(self._tail_start(tail_blocks))

    def lora_targets(self, tail_blocks: int, targets: Iterable[str] | None = None) -> list[str]:
        """Full names of maps from the last K blocks on, for PEFT's ``LoraConfig``.

        Args:
            tail_blocks: K.
            targets: which; none: the family's default.
        """
        start = self._tail_start(tail_blocks)
        return lora_targets(self.family, self.network.lora_maps, start, targets)

    def like(self, modules: Sequence[str]) -> list[str]:
        """Names of all maps that may have LoRA, of the model that names some as given."""
        return self.family.alike(modules, self.network.lora_maps)

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
    try:
        with quiet_transformers():
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


def random_backbone(config: Any) -> Backbone:
    """A backbone with random weights, float32.

    Args:
        config: its transformers configuration.

    Raises:
        PolymorphError: it is of an unsupported family.
    """
    family = family_of(config)
    untyped: Any = AutoModel
    model = untyped.from_config(config, dtype=torch.float32, **family.load_arguments)
    return Backbone(model, family, config)


def _check_complete(model: nn.Module, info: Any, where: str) -> None:
    # The mask token and the counters of batch norms are only used in pretraining.
    missing = sorted(key for key in info["missing_keys"] if not key.endswith(_UNUSED))
    if missing:
        raise PolymorphError(
            "every weight of the backbone",
            f"{len(missing)} missing, first {missing[0]}",
            where=where,
        )
    for key, weight in model.state_dict().items():
        if not torch.isfinite(weight).all():
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


@contextmanager
def quiet_transformers() -> Iterator[None]:
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
