"""What a teacher answers to pictures, and how answers of any network are read."""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.errors import PolymorphError

PATCHES, FEATURE, LOGITS = "patches", "feature", "logits"

Answers = Mapping[str, Tensor]
"""Of a batch: ``patches`` (B, D, rows, columns), ``feature`` (B, F), ``logits`` (B, C); float32,
what a teacher does not have is left out."""

_MOST_PREFIX_TOKENS = 5  # class and register tokens, of all models that are published


class Teacher(Protocol):
    """A large network that answers."""

    @property
    def preprocessing(self) -> Preprocessing:
        """How pictures become its input."""
        ...

    def __call__(self, pixels: Tensor) -> Answers:
        """The answers to preprocessed pixels, float32 (B, 3, S, S), on their device."""
        ...


class Grid(NamedTuple):
    """Tokens apart: those of a square of patches (B, D, rows, columns), and those before them."""

    patches: Tensor
    prefix: Tensor


def as_grid(tokens: Tensor, where: str) -> Grid:
    """Take tokens (B, N, D), patches last, or a grid (B, D, rows, columns) apart.

    Raises:
        PolymorphError: they form no grid.
    """
    if tokens.ndim == 4:
        return Grid(tokens, tokens.new_zeros(len(tokens), 0, tokens.shape[1]))
    if tokens.ndim == 3:
        count = tokens.shape[1]
        side = isqrt(count)
        before = count - side * side
        if side > 0 and before <= _MOST_PREFIX_TOKENS:
            patches = tokens[:, before:].transpose(1, 2).unflatten(2, (side, side))
            return Grid(patches, tokens[:, :before])
    shape = tuple(tokens.shape[1:])
    raise PolymorphError(
        "tokens that form a grid: a square of patches, after at most "
        f"{_MOST_PREFIX_TOKENS} others, or (channels, rows, columns)",
        f"{shape} for each picture", where=where,
        remedy="choose an image_size that the patches divide, or teach without patches",
    )  # fmt: skip


def on_grid(patches: Tensor, side: int) -> Tensor:
    """Patches (B, D, rows, columns) as (B, side * side, D): averaged, or read in between."""
    rows, columns = patches.shape[2:]
    if side <= min(rows, columns):
        fitted = functional.adaptive_avg_pool2d(patches, side)
    else:
        fitted = functional.interpolate(patches, (side, side), mode="bilinear")
    return fitted.flatten(2).transpose(1, 2)


def check_finite(answers: Answers, names: list[str], where: str) -> None:
    """Refuse answers that nothing can be learned from.

    Args:
        names: of the pictures.

    Raises:
        PolymorphError: one has NaN or infinity; the picture is named.
    """
    for kind, values in answers.items():
        sound = torch.isfinite(values.flatten(1)).all(dim=1)
        if not sound.all():
            first = int((~sound).nonzero()[0])
            raise PolymorphError(
                "finite answers of the teacher", f"NaN or infinity in {kind} of {names[first]}",
                where=where, remedy="leave that picture out, or take another teacher",
            )  # fmt: skip
