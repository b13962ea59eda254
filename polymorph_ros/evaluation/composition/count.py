"""What a computation asks of a machine, counted: multiply-adds and bytes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode, mm_flop, sdpa_flop_count

_Shape = tuple[int, ...]


def multiply_adds(run: Callable[[], object]) -> float:
    """Multiply-adds of all products, convolutions and attentions that a computation runs.

    Elementwise work (norms, activations, softmax, sums) is not counted: this is the part that
    bounds a computation from below on a machine that multiplies as fast as it can.
    """

    def product(_: _Shape, left: _Shape, right: _Shape, **__: Any) -> int:
        return int(mm_flop(left, right))

    def linear(x: _Shape, weight: _Shape, *_: Any, **__: Any) -> int:
        return 2 * math.prod(x) * weight[0]

    def attention(query: _Shape, key: _Shape, value: _Shape, *_: Any, **__: Any) -> int:
        return int(sdpa_flop_count(query, key, value))

    known: dict[Any, Any] = {
        torch.ops.aten.addmm_: product,
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention,
    }
    if hasattr(torch.ops.mkldnn, "_linear_pointwise"):  # not in every build of PyTorch
        known[torch.ops.mkldnn._linear_pointwise] = linear
    with FlopCounterMode(display=False, custom_mapping=known) as counter:
        run()
    return counter.get_total_flops() / 2


def peak_activation_bytes(run: Callable[[], object], device: torch.device) -> int:
    """The most memory that a computation's own tensors take at one time."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        run()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        run()
    held = peak = 0
    assert profiled.profiler is not None
    for event in profiled.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak
