"""What compilers would bring: the bare forward by ``torch.compile`` and, where it is, TensorRT."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from parts.gpu.bench import Bench
from parts.gpu.composition import TINY
from parts.gpu.timing import time_interleaved
from parts.metrics import Results, rounded
from polymorph_ros.evaluation.composition.synthetic import make_backbone, size_of
from polymorph_ros.model.gpu import GraphedRun

_MODE = "max-autotune"


def measure(bench: Bench) -> None:
    """ViT-S in bfloat16, one picture, beside the captured forward."""
    size = TINY if bench.quick else size_of("ViT-S")
    model = make_backbone(size, bench.device, torch.bfloat16).model
    pixels = torch.randn(1, 3, size.picture, size.picture).to(bench.device, torch.bfloat16)
    compilers: dict[str, dict[str, Any]] = {f"torch.compile {_MODE}": {"mode": _MODE}}
    if find_spec("torch_tensorrt"):
        import torch_tensorrt  # noqa: F401  registers the backend

        compilers["tensorrt"] = {"backend": "tensorrt"}
    else:
        bench.results["tensorrt"] = "torch_tensorrt is not installed"
    with torch.inference_mode():
        captured = GraphedRun(lambda x: _forward(model, x), pixels)
        runs: dict[str, Callable[[], object]] = {"captured": lambda: captured(pixels)}
        expected = captured(pixels).clone()
        for name, arguments in compilers.items():
            try:
                runs[name], row = _compiled(model, pixels, arguments, expected)
            except Exception:  # one compiler's failure leaves the other
                row = {"failed": traceback.format_exc()}
            bench.results[name] = row
            bench.save()
        times = time_interleaved(runs, bench, max(1.0, min(5.0, 0.3 * bench.left_s())))
    bench.results["times"] = times
    shown = ", ".join(f"{name} {each['ms']['p50']} ms" for name, each in times.items())
    bench.say(f"bare forward, ViT-S, bfloat16: {shown}")


def _compiled(
    model: nn.Module, pixels: Tensor, arguments: dict[str, Any], expected: Tensor
) -> tuple[Callable[[], object], Results]:
    """The compiled forward, how long compiling took, and how far its answers are off."""
    compiled: Any = torch.compile(lambda x: _forward(model, x), **arguments)

    def run() -> Tensor:
        torch.compiler.cudagraph_mark_step_begin()  # the last output may be overwritten
        found: Tensor = compiled(pixels)
        return found

    start = time.monotonic()
    off = float((run() - expected).abs().max())
    return run, {"first_call_s": rounded(time.monotonic() - start), "largest_difference": off}


def _forward(model: Any, pixels: Tensor) -> Tensor:
    tokens: Tensor = model(pixels).last_hidden_state
    return tokens[:, 0]
