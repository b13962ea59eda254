"""The program that has a running node load a bundle: its command and what its end means.

``polymorph grow`` starts it as a process of its own, because only ``ros/`` may import rclpy. It
exits with 0 when the node runs the bundle, and with 1 after a fault, whose last line on standard
error says what was wrong. Its last line of output says what was done.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from polymorph_ros.errors import PolymorphError

PROGRAM = "polymorph_ros.ros.take_over"
WAIT_S = 120.0
"""Seconds that a node may take to load a bundle."""


def take_over(node: str, bundle: Path, *, check: bool = False) -> str:
    """Have a node load a bundle.

    Args:
        node: its fully qualified name, as ``/polymorph``.
        bundle: the folder, on a disk that the node sees under the same path.
        check: only see whether the node could: it runs, and the folder is below its bundle_root.

    Returns:
        In words what was done.

    Raises:
        PolymorphError: there is no ROS here, or the node does not run or refuses the bundle.
    """
    if find_spec("rclpy") is None:
        raise PolymorphError(
            "ROS 2 (rclpy) to reach a node", "none", remedy="source ROS 2, or leave out --node"
        )
    command = [sys.executable, "-m", PROGRAM, node, str(bundle), *(["--check"] * check)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise PolymorphError(f"a node that loads {bundle}", last, where=node)
    return done.stdout.strip().splitlines()[-1]
