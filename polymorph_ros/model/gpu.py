"""What a GPU needs to be kept busy: uploads from pinned memory, and recorded computations.

A replayed CUDA graph costs one launch instead of hundreds. It reads and writes fixed addresses, so
inputs are copied to where it reads, and its output is overwritten by the next replay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from polymorph_ros.model.bank import AdapterBank
from polymorph_ros.model.slots import Slots
from polymorph_ros.model.tails import ComposedTails

_WARM_UPS = 3  # libraries choose and load their kernels in the first runs, which cannot be recorded


class PinnedUpload:
    """Copies arrays of one shape after another to a GPU without waiting for the copy.

    Args:
        device: the GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pinned = torch.empty(0, dtype=torch.uint8)
        self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]

    def __call__(self, pixels: Tensor) -> Tensor:
        """A uint8 tensor on the CPU to the same on the GPU."""
        self._copied.synchronize()  # the last copy out of the pinned memory
        if self._pinned.shape != pixels.shape:
            self._pinned = torch.empty(pixels.shape, dtype=torch.uint8, pin_memory=True)
        self._pinned.copy_(pixels)
        uploaded = self._pinned.to(self._device, non_blocking=True)
        self._copied.record()
        return uploaded


class RecordedRun:
    """A computation of one tensor on a GPU, recorded for inputs of one shape.

    Args:
        run: reads no memory but its input's and what stays where it is; does not wait for the GPU.
        example: an input, on the GPU.
    """

    def __init__(self, run: Callable[[Tensor], Tensor], example: Tensor) -> None:
        self._input = example.clone()
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                run(self._input)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._output = run(self._input)

    def __call__(self, x: Tensor) -> Tensor:
        """The output for an input of the example's shape; the next call overwrites it."""
        self._input.copy_(x)
        self._graph.replay()
        return self._output


class RecordedTails:
    """Composed tails, recorded once for each number of active adapters.

    Which adapters are active is data: they are copied into the recording's slots when the choice
    changes.

    Args:
        tails: what is recorded.
        bank: its adapters; when one is added or replaced, a new object of this class is needed.
        tail_blocks: K.
    """

    def __init__(self, tails: ComposedTails, bank: AdapterBank, tail_blocks: int) -> None:
        self._tails = tails
        self._bank = bank
        self._tail_blocks = tail_blocks
        self._recorded: dict[int, tuple[Slots, RecordedRun]] = {}
        self._filled: dict[int, tuple[int, ...]] = {}

    def __call__(self, tokens: Tensor, active: Sequence[int]) -> list[Tensor]:
        """Tail input (1, N, D) to each active adapter's logits (labels of its context,)."""
        chosen = tuple(active)
        count = len(chosen)
        if count not in self._recorded:
            self._recorded[count] = self._record(tokens, chosen)
        slots, run = self._recorded[count]
        if self._filled.get(count) != chosen:
            slots.fill([self._bank.adapter(index) for index in chosen])
            self._filled[count] = chosen
        padded = run(tokens)
        labels = [len(self._bank.adapter(index).head.bias) for index in chosen]
        return [row[:length] for row, length in zip(padded, labels, strict=True)]

    def _record(self, tokens: Tensor, chosen: tuple[int, ...]) -> tuple[Slots, RecordedRun]:
        slots = Slots(self._bank.adapters, self._tail_blocks, len(chosen))
        selection = slots.selection

        def run(inputs: Tensor) -> Tensor:
            return torch.stack(selection.logits(self._tails(inputs, selection)))

        return slots, RecordedRun(run, tokens)
