"""What a process uses: resident memory, descriptors, threads; and the growth over a run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from parts.machine import resident_mib
from parts.metrics import Results, rounded


@dataclass(frozen=True)
class Use:
    """Of one moment."""

    resident_mib: float
    descriptors: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Use | None:
        """Of a process; None if it has ended."""
        try:
            return cls(
                resident_mib(pid),
                len(os.listdir(f"/proc/{pid}/fd")),
                len(os.listdir(f"/proc/{pid}/task")),
            )
        except (OSError, IndexError):
            return None


@dataclass
class UseOverTime:
    """Samples of one process."""

    samples: list[Use] = field(default_factory=list)

    def sample(self, pid: int) -> None:
        """Take one more."""
        use = Use.of(pid)
        if use is not None:
            self.samples.append(use)

    def results(self) -> Results:
        """First, median of the last tenth, and most, of each."""
        if not self.samples:
            return {}
        last = self.samples[-max(1, len(self.samples) // 10) :]
        return {
            name: {
                "first": rounded(getattr(self.samples[0], name)),
                "last": rounded(sorted(getattr(use, name) for use in last)[len(last) // 2]),
                "most": rounded(max(getattr(use, name) for use in self.samples)),
            }
            for name in ("resident_mib", "descriptors", "threads")
        }


def children_of(pid: int) -> list[int]:
    """Processes that a process has started and that still are there."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += map(int, task.read_text().split())
    return found
