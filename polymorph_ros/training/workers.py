"""Who runs stages that do not wait for each other: this process, or a cluster (``ray_workers``).

An artifact's name holds everything that decides its content. So it does not matter where a stage
runs, or how often it has to start again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from polymorph_ros.training.artifacts import Artifact, Log, Stage, make


class Workers(Protocol):
    """Something that runs stages which do not wait for each other.

    Attributes:
        count: how many stages run at a time.
    """

    count: int

    def run(self, stages: Sequence[Stage], work: Path, log: Log) -> tuple[Artifact, ...]:
        """Make what is not there yet; return all artifacts, in the order of the stages.

        Raises:
            PolymorphError: a stage found a mistake, or could not be run to its end.
        """
        ...


class ThisProcess:
    """One stage after the other, with all the threads that the configuration gives it."""

    count = 1

    def run(self, stages: Sequence[Stage], work: Path, log: Log) -> tuple[Artifact, ...]:
        """Make what is not there yet, in order."""
        return tuple(make(stage, work, log) for stage in stages)


HERE = ThisProcess()
