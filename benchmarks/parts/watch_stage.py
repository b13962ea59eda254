"""The stage of fuzzing and soaking: environment, folder for logs, ROS, and a watch."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from parts.node_watch import NodeWatch
from polymorph_ros.ros.harness.process import isolated_environment
from polymorph_ros.ros.harness.run import ros


@contextmanager
def open_watch() -> Iterator[tuple[NodeWatch, Path]]:
    """Set the environment of all processes, this one included, and follow the node."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(isolated_environment(os.environ))
        os.environ["ROS_LOG_DIR"] = folder
        with ros(), NodeWatch() as watch:
            yield watch, Path(folder)
