"""The stage of a benchmark of the node: environment, log folder, ROS, listener, and the node."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import rclpy
from rclpy.signals import SignalHandlerOptions

from parts.listener import Listener
from polymorph_ros.errors import PolymorphError
from polymorph_ros.ros.demo.child import Child, surroundings

NODE_TOPIC = "/benchmark/image"

_NODE_MODULE = "polymorph_ros.ros.main"


@dataclass(frozen=True)
class Stage:
    """What every measurement of the node needs.

    Attributes:
        bundle: the node's bundle; None for its default.
        logs: folder for the processes' words, gone at the end.
    """

    bundle: Path | None
    logs: Path
    listener: Listener


@contextmanager
def open_stage(bundle: Path | None) -> Iterator[Stage]:
    """Set the environment of all processes, this one included, and listen."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(surroundings(os.environ))
        os.environ["ROS_LOG_DIR"] = folder
        paths = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        try:
            with Listener() as listener:
                yield Stage(bundle, Path(folder), listener)
        finally:
            rclpy.try_shutdown()


@contextmanager
def run_node(stage: Stage) -> Iterator[Child]:
    """A node of its own with its defaults; nothing is heard before, and it must end with 0."""
    stage.listener.forget()
    # Every image is computed: one that is reused costs a tenth and says nothing of the rest.
    parameters = ["autostart:=true", f"image_topics:=['{NODE_TOPIC}']", "reuse_s:=0.0"]
    if stage.bundle is not None:
        parameters.append(f"bundle:='{stage.bundle.resolve()}'")
    words = [word for parameter in parameters for word in ("-p", parameter)]
    node = Child(_NODE_MODULE, ["--ros-args", *words], stage.logs / "node.log")
    try:
        yield node
        node.check()
    finally:
        code = node.interrupt()
    if code != 0:
        raise PolymorphError("a node that ends with code 0", f"code {code}", where="node")
