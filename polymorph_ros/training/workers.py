"""Who runs stages that wait for nothing but files: this process, or a cluster (``ray_workers``).

A stage is a picklable piece of training whose result is kept under a name that everything decides
which decides the result. So it does not matter where one runs, or how often it has to begin anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from polymorph_ros.training.artifacts import Artifact, Stage, make

Say = Callable[[str], None]


class Workers(Protocol):
    """Something that runs stages which do not wait for each other.

    Attributes:
        count: how many stages run at a time.
    """

    count: int

    def run(self, stages: Sequence[Stage], work: Path, say: Say) -> tuple[Artifact, ...]:
        """Make what is not there yet; what each stage made, in the order of the stages.

        Raises:
            PolymorphError: a stage found a mistake, or could not be run to its end.
        """
        ...


class ThisProcess:
    """One stage after the other, with all the threads that the configuration gives it."""

    count = 1

    def run(self, stages: Sequence[Stage], work: Path, say: Say) -> tuple[Artifact, ...]:
        """Make what is not there yet, in order."""
        return tuple(make(stage, work, say) for stage in stages)


HERE = ThisProcess()
