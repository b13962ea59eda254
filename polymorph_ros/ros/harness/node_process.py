"""The node as a process of its own, with parameters on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from polymorph_ros.ros.harness.process import ChildProcess

NODE_MODULE = "polymorph_ros.ros.main"


def start_node(
    parameters: Mapping[str, object],
    log: Path,
    *,
    arguments: Sequence[str] = (),
    interpreter: Sequence[str] = (),
) -> ChildProcess:
    """Start the node.

    Args:
        parameters: its parameters by name; none are added.
        log: file for its log lines.
        arguments: further arguments after ``--ros-args``.
        interpreter: options of the Python interpreter.
    """
    given = [
        argument
        for name, value in parameters.items()
        for argument in ("-p", f"{name}:={_as_yaml(value)}")
    ]
    return ChildProcess(
        NODE_MODULE, ["--ros-args", *arguments, *given], log, interpreter=interpreter
    )


def _as_yaml(value: object) -> str:
    """A value as ROS reads it on the command line; a path is quoted."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value.resolve()}'" if isinstance(value, Path) else str(value)
