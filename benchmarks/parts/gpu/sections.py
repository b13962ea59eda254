"""The sections in the order of their worth, and the share of the time that each may take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

from parts.gpu.bench import Bench


@dataclass(frozen=True)
class Section:
    """One section.

    Attributes:
        module: imported when it runs, so that a missing package costs only it.
        function: in it; takes the bench.
        share: of the time, relative to the other sections'.
    """

    module: str
    function: str
    share: float

    def load(self) -> Callable[[Bench], None]:
        """Its function."""
        found: Callable[[Bench], None] = getattr(import_module(self.module), self.function)
        return found


SECTIONS = {
    "environment": Section("parts.gpu.environment", "describe", 5),
    "composition": Section("parts.gpu.composition", "measure_main", 50),
    "exactness": Section("parts.gpu.exactness", "measure", 25),
    "engine": Section("parts.gpu.engine_steps", "measure", 45),
    "tests": Section("parts.gpu.gpu_tests", "run", 60),
    "changed_set": Section("parts.gpu.changed_set", "measure", 12),
    "other_sizes": Section("parts.gpu.composition", "measure_others", 70),
    "joules": Section("parts.gpu.joules", "measure", 55),
    "memory": Section("parts.gpu.steady_memory", "measure", 25),
    "trace": Section("parts.gpu.trace", "measure", 12),
    "compiled": Section("parts.gpu.compiled", "measure", 60),
}


def seconds_of(rest: Sequence[Section], left_s: float) -> float:
    """How long the first section should take: its share of what is left for it and the rest."""
    return left_s * rest[0].share / sum(section.share for section in rest)
