"""The way in by `make build`: one virtual environment holds ROS, messages and library.

Pins: from anywhere and without any variable set, messages and library are one package; the
executables are where `ros2 run` and the shell look for them. Open: the node itself (test/ros).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed here")

pytestmark = pytest.mark.usefixtures("messages_prefix")


def test_messages_and_library_are_one_package(run, tmp_path: Path) -> None:
    program = (
        "import polymorph_ros, polymorph_ros.errors\n"
        "from polymorph_ros.msg import LabelArray\n"
        "from polymorph_ros.srv import LoadBundle\n"
        "from rclpy.serialization import deserialize_message, serialize_message\n"
        "sent = LabelArray(camera='front', state=LabelArray.STATE_FRESH)\n"
        "print(deserialize_message(serialize_message(sent), LabelArray) == sent)\n"
        "print(polymorph_ros.__version__, LoadBundle.Request(path='x').path)\n"
    )

    printed = run([sys.executable, "-c", program], cwd=tmp_path)

    assert printed.split() == ["True", "0.1.0", "x"]


@pytest.mark.parametrize(
    "path",
    [
        "lib/polymorph_ros/polymorph_node",  # ros2 run, launch
        "lib/polymorph_ros/polymorph",  # ros2 run
        "bin/polymorph",  # the shell
    ],
)
def test_executables_run_with_this_interpreter(messages_prefix: Path, path: str) -> None:
    executable = messages_prefix / path

    assert os.access(executable, os.X_OK)
    shebang = executable.read_text().splitlines()[0]
    assert Path(shebang.removeprefix("#!")).parent == Path(sys.executable).parent


def test_command_line_answers(run, messages_prefix: Path, tmp_path: Path) -> None:
    executable = messages_prefix / "bin" / "polymorph"

    assert "0.1.0" in run([str(executable), "--version"], cwd=tmp_path)
    assert "Usage" in run([str(executable), "train", "--help"], cwd=tmp_path)


@pytest.mark.parametrize("folder", ["launch", "config"])
def test_share_follows_the_source(messages_prefix: Path, folder: str) -> None:
    """Edits are live: the installed files are links to the repository's."""
    source = Path(__file__).resolve().parents[2] / folder
    installed = messages_prefix / "share" / "polymorph_ros" / folder

    for file in source.iterdir():
        if file.is_file():
            assert (installed / file.name).resolve() == file
