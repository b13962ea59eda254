"""What a section gets: where it computes, how long it may take, and where its results go."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from parts.metrics import Results


@dataclass(frozen=True)
class Bench:
    """One section's surroundings.

    Attributes:
        device: where it computes.
        quick: whether tiny sizes are enough: its code is tried, not the machine.
        deadline_s: until when it should be done, on ``time.monotonic``'s clock.
        folder: where files go that belong to the results.
        results: the section's results, which it fills; what is there when it fails stays.
        save: writes all results so far.
    """

    device: torch.device
    quick: bool
    deadline_s: float
    folder: Path
    results: Results
    save: Callable[[], None]

    @property
    def on_gpu(self) -> bool:
        """Whether it computes on a GPU."""
        return self.device.type == "cuda"

    def left_s(self) -> float:
        """Seconds until the deadline, at least 0."""
        return max(0.0, self.deadline_s - time.monotonic())

    def add(self, more: Results) -> None:
        """Some results more."""
        self.results.update(more)

    def say(self, line: str) -> None:
        """A line for the table that ends the program's output."""
        self.results.setdefault("lines", []).append(line)

    def wait(self) -> None:
        """Wait until the device is done."""
        if self.on_gpu:
            torch.cuda.synchronize(self.device)
