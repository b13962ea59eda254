"""The way in by `colcon build`, as on a robot: an overlay over an installed ROS 2.

Pins: the package builds from a copy of the repository; in the overlay's environment, messages,
library and executables are the overlay's own, and its share folder is complete.
Open: distributions other than the ROS 2 at hand.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

pytest.importorskip("rosidl_generator_py", reason="the ROS 2 message generators are not installed")
pytest.importorskip("colcon_ros", reason="colcon is not installed")

pytestmark = pytest.mark.slow

PREFIX = Path(sys.prefix)


@pytest.fixture(scope="module")
def overlay(run, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's install folder after `colcon build`."""
    workspace = tmp_path_factory.mktemp("workspace")
    shutil.copytree(source, workspace / "src" / "polymorph_ros")
    run(
        [
            sys.executable, "-m", "colcon", "build", "--executor", "sequential",
            "--event-handlers", "console_direct+",
            "--cmake-args", "-G", "Ninja", "-DBUILD_TESTING=OFF",
        ],
        cwd=workspace,
        env={"AMENT_PREFIX_PATH": str(PREFIX), "CMAKE_PREFIX_PATH": str(PREFIX)},
    )  # fmt: skip
    return workspace / "install" / "polymorph_ros"


def test_overlay_holds_messages_and_library(run, overlay: Path, tmp_path: Path) -> None:
    program = (
        "import polymorph_ros, polymorph_ros.runtime.engine, polymorph_ros.ros.node\n"
        "import polymorph_ros.msg, polymorph_ros.srv\n"
        "from rclpy.serialization import serialize_message\n"
        "assert serialize_message(polymorph_ros.msg.EnergyReport(source='rapl'))\n"
        "for m in (polymorph_ros, polymorph_ros.runtime.engine, polymorph_ros.msg, "
        "polymorph_ros.srv): print(m.__file__)\n"
    )

    printed = in_overlay(run, overlay, tmp_path, f'{sys.executable} -c "$PROGRAM"', program)

    assert [path for path in printed.split() if not Path(path).is_relative_to(overlay)] == []


def test_overlay_has_its_executables(run, overlay: Path, tmp_path: Path) -> None:
    assert "0.1.0" in in_overlay(
        run, overlay, tmp_path, f"{overlay}/lib/polymorph_ros/polymorph --version"
    )
    assert (overlay / "lib" / "polymorph_ros" / "polymorph_node").is_file()


def test_share_is_complete(overlay: Path, source: Path) -> None:
    for folder in ("launch", "config", "bundles"):
        wanted = {p.relative_to(source) for p in (source / folder).rglob("*") if p.is_file()}
        share = overlay / "share" / "polymorph_ros"
        assert {path for path in wanted if not (share / path).is_file()} == set()


def in_overlay(run, overlay: Path, cwd: Path, command: str, program: str = "") -> str:
    """What a shell command prints after the overlay's setup file was sourced."""
    setup = overlay.parent / "local_setup.sh"
    return run(
        ["sh", "-c", f". {setup} && {command}"],
        cwd=cwd,
        env={
            "AMENT_PREFIX_PATH": str(PREFIX),
            "COLCON_CURRENT_PREFIX": str(overlay.parent),
            "PROGRAM": program,
        },
    )
