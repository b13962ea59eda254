"""Read the tensors of a safetensors file, checked for what no consumer can use."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.quantised import restored


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file as float32 on the CPU; int8 ones multiplied by their scales.

    Raises:
        PolymorphError: the file cannot be read, or a tensor is not of floating point or not finite.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise PolymorphError(
            "a safetensors file", f"{type(error).__name__}: {error}", where=str(path)
        ) from error
    tensors = restored(tensors, path)
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise PolymorphError(
                f"tensor {name} of floating point", str(tensor.dtype), where=str(path)
            )
        if not torch.isfinite(tensor).all():
            raise PolymorphError(f"finite tensor {name}", "NaN or infinity", where=str(path))
    return {name: tensor.float() for name, tensor in tensors.items()}


def check_shape(tensor: Tensor, name: str, expected: tuple[int, ...], where: Path | str) -> None:
    """Refuses a tensor of another shape.

    Raises:
        PolymorphError: names the file, the tensor, the expected and the found shape.
    """
    if tuple(tensor.shape) != expected:
        raise PolymorphError(
            f"tensor {name} of shape {expected}", f"shape {tuple(tensor.shape)}", where=str(where)
        )
