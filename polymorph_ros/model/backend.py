"""What the model computes in: single or half precision, or a trunk of 8-bit integers.

The tails compose exactly whatever the trunk computes in: they get its tokens.
"""

from __future__ import annotations

import warnings
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.backbone import Backbone
from polymorph_ros.model.linear import InferenceLinear, replace_linear

Backend = Literal["float32", "bfloat16", "float16", "int8_trunk"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)


def use_backend(backbone: Backbone, tail_blocks: int, backend: Backend) -> Backbone:
    """Changes the backbone's weights to what the backend computes in; returns the backbone.

    ``int8_trunk`` is for CPUs: the linear maps of the trunk's blocks become 8-bit products of
    weights, with a scale for each output, and activations, with a scale for each frame.

    Args:
        backbone: float32, on its device.
        tail_blocks: K; the last K blocks never become integers.

    Raises:
        PolymorphError: the backend is unknown, or does not run on the backbone's device.
    """
    if backend not in BACKENDS:
        raise PolymorphError(f"a backend out of {', '.join(BACKENDS)}", backend)
    if backend == "int8_trunk":
        _check_integers(backbone.device)
        for block in backbone.trunk_modules(tail_blocks):
            replace_linear(block, InferenceLinear, _Int8Linear)
    elif backend != "float32":
        backbone.to(dtype=getattr(torch, backend))
    return backbone


def _check_integers(device: torch.device) -> None:
    if device.type != "cpu":
        raise PolymorphError(
            "a CPU for backend int8_trunk", str(device), remedy="choose float16 on a GPU"
        )
    if torch.backends.quantized.engine == "none":
        raise PolymorphError(
            "a PyTorch with 8-bit products for backend int8_trunk",
            "one without",
            remedy="choose backend float32",
        )


class _Int8Linear(nn.Module):
    """A linear map with 8-bit weights; inputs and outputs are float32."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach()
        scale = (weight.abs().amax(dim=1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
        zeros = torch.zeros(len(weight), dtype=torch.int64)
        with warnings.catch_warnings():  # PyTorch means to replace these tensors some day
            warnings.simplefilter("ignore", UserWarning)
            integers = torch.quantize_per_channel(weight, scale.double(), zeros, 0, torch.qint8)
        self._packed = torch.ops.quantized.linear_prepack(integers, linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        # 7-bit activations: sums of 8-bit ones may overflow on CPUs without VNNI.
        y: Tensor = torch.ops.quantized.linear_dynamic(x, self._packed, True)
        return y
