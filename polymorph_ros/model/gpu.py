"""What a GPU needs to be kept busy: uploads from pinned memory, and captured computations.

A replayed CUDA graph costs one launch instead of hundreds. It reads and writes fixed addresses, so
inputs are copied to where it reads, and its output is overwritten by the next replay.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from polymorph_ros.errors import PolymorphError

_WARM_UPS = 3  # libraries choose and load their kernels in the first runs, which cannot be captured
_CAPTURE = threading.Lock()  # a process may capture one computation at a time

_DEVICE_NAME = re.compile(r"auto|cpu|cuda(:(0|[1-9][0-9]*))?")


def is_device_name(text: str) -> bool:
    """Whether this is a name that ``choose_device`` takes, whether or not the device is there.

    >>> is_device_name("cuda:1"), is_device_name("cuda:N"), is_device_name("tpu")
    (True, False, False)
    """
    return bool(_DEVICE_NAME.fullmatch(text))


def choose_device(name: str) -> torch.device:
    """The device of a name; of several GPUs ``cuda`` is the first.

    Args:
        name: "cpu", "cuda", "cuda:N" for the GPU of that number, or "auto" for a GPU where there
            is one.

    Raises:
        PolymorphError: there is no such device.
    """
    if not is_device_name(name):
        raise PolymorphError("auto, cpu, cuda or cuda:N", repr(name), where="device")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not name.startswith("cuda"):
        return torch.device("cuda" if count and name == "auto" else "cpu")
    if not count:
        raise PolymorphError(
            "a GPU that this PyTorch can use", "none", where=f"device {name}",
            remedy="choose cpu or auto, or install PyTorch with CUDA",
        )  # fmt: skip
    number = int(name.partition(":")[2] or 0)
    if number >= count:
        there = "cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        raise PolymorphError(f"a GPU that is there ({there})", name, where="device")
    return torch.device(name)


def use_device(device: torch.device) -> None:
    """Make a GPU this thread's own: streams, events and captures are of the thread's GPU."""
    if device.index is not None:
        torch.cuda.set_device(device)


def held_bytes(device: torch.device | str) -> int:
    """Memory of a GPU that this process keeps, for tensors, captures and reuse; 0 of a CPU.

    All captures happen while a model is warmed, so it is at its ceiling from then on, but for
    what larger pictures take until they are shrunk.
    """
    chosen = torch.device(device)
    return torch.cuda.memory_reserved(chosen) if chosen.type == "cuda" else 0


class PinnedUpload:
    """Copies tensors, one after another, to a device; to a GPU without waiting for the copy.

    Args:
        device: where to.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pinned = torch.empty(0)
        self._copied: Any = None  # after the copy, on the stream that it is on
        if device.type == "cuda":
            self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]

    def __call__(self, tensor: Tensor) -> Tensor:
        """A tensor on the CPU to the same on the device."""
        if self._copied is None:
            return tensor.to(self._device)
        self._copied.synchronize()  # the copy before this one, out of the same pinned memory
        if self._pinned.shape != tensor.shape or self._pinned.dtype != tensor.dtype:
            with torch.inference_mode(False):  # it may be filled inside and outside of that mode
                self._pinned = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        self._pinned.copy_(tensor)
        uploaded = self._pinned.to(self._device, non_blocking=True)
        # The calling thread's own GPU may be another one.
        self._copied.record(torch.cuda.current_stream(self._device))
        return uploaded


class GraphedRun:
    """A computation on a GPU, captured for inputs of certain shapes.

    Without a GPU it computes anew each time, with the same fixed places of inputs and output.

    Args:
        run: reads no memory but its inputs' and what stays where it is; does not wait for the GPU.
        examples: inputs, on the device. They become the places that every run reads: the output of
            another captured run, given here and in each call, is read where it is.
        pool: memory that captures share which never run at the same time and do not need each
            other's outputs (``torch.cuda.graph_pool_handle``); None for memory of its own.
    """

    def __init__(self, run: Callable[..., Tensor], *examples: Tensor, pool: Any = None) -> None:
        self._run = run
        self._inputs = examples
        self._graph = self._capture(pool) if examples[0].is_cuda else None
        if self._graph is None:
            self._output = run(*self._inputs)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The output for inputs of the examples' shapes; the next call overwrites it."""
        for place, value in zip(self._inputs, inputs, strict=True):
            if value is not place:
                place.copy_(value)
        if self._graph is None:
            self._output.copy_(self._run(*self._inputs))
        else:
            self._graph.replay()
        return self._output

    def _capture(self, pool: Any) -> torch.cuda.CUDAGraph:
        device = self._inputs[0].device
        warming, capturing = _side_streams(device)
        graph = torch.cuda.CUDAGraph()
        with _CAPTURE, torch.cuda.device(device):
            warming.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(warming):
                for _ in range(_WARM_UPS):
                    self._run(*self._inputs)
            torch.cuda.current_stream().wait_stream(warming)
            # Only this thread has to keep to what may be captured: an engine may be running in
            # another one while this model is loaded.
            with torch.cuda.graph(graph, pool, capturing, capture_error_mode="thread_local"):
                self._output = self._run(*self._inputs)
        return graph


@cache
def _side_streams(device: torch.device) -> tuple[Any, Any]:
    """A GPU's streams of all warm-ups and of all captures.

    Matrix libraries have working memory for each stream, and a capture goes on using that of its
    stream: few streams take little memory, and what runs on another one does not disturb it.
    """
    warming, capturing = (torch.cuda.Stream(device) for _ in range(2))  # type: ignore[no-untyped-call]
    return warming, capturing
