"""Stages as tasks of a Ray cluster, all nodes of which have the work folder under one path."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from pathlib import Path

import ray
from ray.exceptions import RayError, RayTaskError

from polymorph_ros.errors import PolymorphError
from polymorph_ros.progress import progress_bar
from polymorph_ros.training.artifacts import Artifact, Log, Stage, find, make, sole_attempt

# A task starts again where its worker was killed or its node was lost; each attempt goes on from
# the checkpoint of the last.
_RETRIES = 5
_PATIENCE_S = 10.0


class RayWorkers:
    """A cluster that is there already; ``close`` leaves it as it was.

    Args:
        address: of the cluster: ``auto`` or ``HOST:PORT``.
        cpus: cores that a stage takes: the threads of the training configuration.

    Raises:
        PolymorphError: no cluster at the address, or no node with so many cores.
    """

    def __init__(self, address: str, cpus: int) -> None:
        try:
            if ":" in address:  # Ray itself asks for minutes before it gives up
                host, _, port = address.rpartition(":")
                socket.create_connection((host, int(port)), _PATIENCE_S).close()
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RayError) as error:
            raise PolymorphError(
                "a Ray cluster",
                str(error).strip().split("\n")[0],
                where=address,
                remedy="start one with: ray start --head",
            ) from None
        nodes = [node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]]
        self.count = sum(int(cores // cpus) for cores in nodes)
        if self.count == 0:
            self.close()
            raise PolymorphError(
                f"a node with {cpus} core(s), the threads of the configuration",
                f"nodes with {', '.join(f'{cores:.0f}' for cores in nodes)}",
                where=address,
                remedy="set fewer threads, or start nodes with more --num-cpus",
            )
        self._make = ray.remote(num_cpus=cpus, max_retries=_RETRIES)(_make)

    def run(self, stages: Sequence[Stage], work: Path, log: Log) -> tuple[Artifact, ...]:
        """Make what is not there yet, as many stages at a time as there are cores for."""
        missing = [stage for stage in stages if find(stage, work) is None]
        tasks = {self._make.remote(stage, work): stage for stage in missing}
        with progress_bar() as bars:
            bar = bars.add_task("stages on the cluster", total=len(missing), note="")
            left = list(tasks)
            while left:
                done, left = ray.wait(left)
                for task in done:
                    _result(task, tasks[task])
                    bars.update(bar, advance=1, note=tasks[task].name)
        return tuple(make(stage, work, log) for stage in stages)  # all are there

    def close(self) -> None:
        """Leave the cluster."""
        ray.shutdown()


def _make(stage: Stage, work: Path) -> None:
    """Make a stage; the worker of an earlier attempt may not have ended yet."""
    with sole_attempt(stage, work):
        make(stage, work)


def _result(task: ray.ObjectRef, stage: Stage) -> None:
    """Wait for a task; a mistake that it found is raised as if it had been found here."""
    try:
        ray.get(task)
    except RayTaskError as error:
        if isinstance(error.cause, PolymorphError):
            raise error.cause from None
        raise
    except RayError as error:
        raise PolymorphError(
            f"workers that live until {stage.name} is done",
            f"{type(error).__name__}, {_RETRIES + 1} times",
            where="Ray cluster",
            remedy="run the same command again: it continues with what is missing",
        ) from None
