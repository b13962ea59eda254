"""How long the GPU was busy, where there is one."""

from __future__ import annotations

import torch


class GpuClock:
    """Seconds between the first and the last work of each bracket on the GPU; 0 without one.

    An upper bound of the busy time: gaps in which the GPU waits for the CPU are in it.

    Args:
        device: where the methods run.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds = 0.0
        self._events = (
            (torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True))
            if device.type == "cuda"
            else None
        )

    def start(self) -> None:
        """Open a bracket."""
        if self._events is not None:
            self._events[0].record()

    def stop(self) -> None:
        """Close it, and wait until the GPU is done."""
        if self._events is not None:
            first, last = self._events
            last.record()
            last.synchronize()
            self.seconds += first.elapsed_time(last) * 1e-3
