"""Linear maps in inference, by the faster of the two libraries that PyTorch has for them on a CPU.

PyTorch multiplies single precision by MKL; on AMD's CPUs with AVX-512, oneDNN takes half the time.
Elsewhere, in other precisions and while gradients are recorded, PyTorch's choice stays.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

_FEW_ROWS = 4  # with fewer, oneDNN's preparations take longer than the product


def linear_map(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``x @ weight.T + bias``: x of shape (..., in), weight (out, in), bias (out,)."""
    other = x.dtype != torch.float32 or not x.is_cpu or torch.is_grad_enabled()
    if other or x.numel() < _FEW_ROWS * x.shape[-1] or not onednn_is_faster():
        return functional.linear(x, weight, bias)
    return cast(Tensor, torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], ""))


def for_few_rows(weight: Tensor) -> Tensor:
    """The weight (out, in), laid out so that products with few rows, as of small grids, are fast.

    MKL is faster where the weights of an input are in one piece; others want those of an output.
    """
    if cast(Any, torch.backends.mkl).is_available() and not onednn_is_faster():
        return weight.t().contiguous().t()
    return weight.contiguous()


class InferenceLinear(nn.Linear):
    """Another linear module's weights, applied by ``linear_map``."""

    def __init__(self, module: nn.Linear) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = module.in_features, module.out_features
        self.weight, self.bias = module.weight, module.bias

    def forward(self, x: Tensor) -> Tensor:
        """Float (..., in) to (..., out)."""
        return linear_map(x, self.weight, self.bias)


def replace_linear(
    module: nn.Module, kind: type[nn.Linear], make: Callable[[nn.Linear], nn.Module]
) -> None:
    """Replace all modules of exactly this kind inside another by what is made of each."""
    for name, child in module.named_children():
        if type(child) is kind:
            setattr(module, name, make(child))
        else:
            replace_linear(child, kind, make)


@cache
def onednn_is_faster() -> bool:
    """Whether this machine's CPU is AMD's with AVX-512, and PyTorch has oneDNN's linear map."""
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return wide and _is_amd() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _is_amd() -> bool:
    try:
        return "AuthenticAMD" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
