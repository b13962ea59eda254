"""The stage of a benchmark of the node: environment, log folder, ROS, listener, and the node."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from parts.listener import BenchmarkListener
from polymorph_ros.ros.harness.process import (
    ChildProcess,
    isolated_environment,
    running,
    start_node,
)
from polymorph_ros.ros.harness.run import ros

NODE_TOPIC = "/benchmark/image"


@dataclass(frozen=True)
class Stage:
    """What every measurement of the node needs.

    Attributes:
        bundle: the node's bundle; None for its default.
        logs: folder for the processes' logs, removed at the end.
        listener: receives from the node.
    """

    bundle: Path | None
    logs: Path
    listener: BenchmarkListener


@contextmanager
def open_stage(bundle: Path | None) -> Iterator[Stage]:
    """Set the environment of all processes, this one included, and listen."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(isolated_environment(os.environ))
        os.environ["ROS_LOG_DIR"] = folder
        paths = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        with ros(), BenchmarkListener() as listener:
            yield Stage(bundle, Path(folder), listener)


def run_node(
    stage: Stage, settings: Mapping[str, object] | None = None
) -> AbstractContextManager[ChildProcess]:
    """A node of its own with its defaults; the listener begins anew, and it must end with 0.

    Args:
        settings: parameters besides.
    """
    stage.listener.clear()
    parameters: dict[str, object] = {
        "autostart": True,
        "image_topics": f"['{NODE_TOPIC}']",
        # Every image is computed: one that is reused costs a tenth and says nothing of the rest.
        "reuse_s": 0.0,
        **(settings or {}),
    }
    if stage.bundle is not None:
        parameters["bundle"] = stage.bundle
    return running(start_node(parameters, stage.logs / "node.log"))
