"""Weights as 8-bit integers with scales, as packed adapters hold them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from polymorph_ros.errors import PolymorphError

SCALE = ".scale"  # the tensor NAME.scale holds the scales of the int8 tensor NAME
_LARGEST = 127


def quantised(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """A matrix as int8, and the float32 scales that give it back.

    There is a scale for each row, shape (rows, 1), or each column, (1, columns), whichever are
    fewer: of a low-rank update, for each of its ranks.
    """
    along = 1 if tensor.shape[0] <= tensor.shape[1] else 0
    largest = tensor.abs().amax(dim=along, keepdim=True)
    scale = largest.clamp(min=torch.finfo(torch.float32).tiny) / _LARGEST
    return {name: (tensor / scale).round().to(torch.int8), f"{name}{SCALE}": scale}


def restored(tensors: Mapping[str, Tensor], where: Path) -> dict[str, Tensor]:
    """Those tensors with every int8 matrix multiplied by its scales; the others as they are.

    Raises:
        PolymorphError: an int8 tensor has no scales that fit it.
    """
    whole = {}
    for name, tensor in tensors.items():
        if tensor.dtype == torch.int8:
            whole[name] = tensor.float() * _scale_of(name, tensors, where)
        elif tensors.get(name.removesuffix(SCALE), tensor).dtype != torch.int8:
            whole[name] = tensor
    return whole


def _scale_of(name: str, tensors: Mapping[str, Tensor], where: Path) -> Tensor:
    shape = tuple(tensors[name].shape)
    fitting = [(shape[0], 1), (1, shape[1])] if len(shape) == 2 else []
    scale = tensors.get(f"{name}{SCALE}")
    if scale is None or tuple(scale.shape) not in fitting or not torch.isfinite(scale).all():
        raise PolymorphError(
            f"finite scales {name}{SCALE} for the rows or columns of a matrix {shape}",
            "none" if scale is None else f"{scale.dtype} of shape {tuple(scale.shape)}",
            where=str(where),
        )
    return scale.float()
