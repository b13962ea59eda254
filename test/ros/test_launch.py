"""Pins the launch file with the real `launch`: every argument is described, arguments reach the
node as parameters of its types, and two launches live side by side. Skipped where `launch` is not
installed (it is not on the Python package index)."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rcl_interfaces.srv import GetParameters

from helpers.ros_peer import DEADLINE_S, Peer
from polymorph_ros.msg import LabelArray

pytest.importorskip("launch", reason="the real ROS 2 launch is not installed here")
pytest.importorskip("launch_ros", reason="the real ROS 2 launch_ros is not installed here")

from launch import LaunchContext
from launch.actions import DeclareLaunchArgument

LAUNCH_FILE = Path(__file__).resolve().parents[2] / "launch" / "polymorph.launch.py"


@pytest.fixture(scope="module")
def launch_file() -> ModuleType:
    spec = importlib.util.spec_from_file_location("polymorph_launch", LAUNCH_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def given(module: ModuleType, **arguments: str) -> dict[str, Any]:
    """The parameters that the arguments set."""
    context = LaunchContext()
    context.launch_configurations.update(arguments)
    for action in module.generate_launch_description().entities:
        if isinstance(action, DeclareLaunchArgument):
            action.execute(context)
    return module._given(lambda name: context.launch_configurations[name])


def test_every_argument_has_a_description_and_a_default(launch_file: ModuleType) -> None:
    for argument in launch_file.ARGUMENTS:
        assert argument.description
        assert argument.default_value is not None, argument.name


def test_arguments_that_are_not_given_leave_the_params_file_alone(launch_file: ModuleType) -> None:
    assert given(launch_file) == {"autostart": True, "use_sim_time": False}


def test_arguments_become_parameters_of_the_nodes_types(launch_file: ModuleType) -> None:
    parameters = given(
        launch_file,
        cameras="left, right",
        image_topic="/l,/r",
        image_transport="compressed",
        bundle="/somewhere",
        autostart="false",
    )

    assert parameters["cameras"] == ["left", "right"]
    assert parameters["image_topics"] == ["/l", "/r"]
    assert parameters["image_transport"] == "compressed"
    assert parameters["bundle"] == "/somewhere"
    assert parameters["autostart"] is False


def test_an_argument_outside_its_choices_is_refused(launch_file: ModuleType) -> None:
    with pytest.raises(RuntimeError, match="theora"):
        given(launch_file, image_transport="theora")


@pytest.mark.skipif(shutil.which("ros2") is None, reason="the real ros2 command is not installed")
def test_two_launches_live_side_by_side_and_end_with_ctrl_c(
    peer: Peer, bundle_root: Path, tmp_path: Path
) -> None:
    logs = [tmp_path / "front", tmp_path / "rear"]
    launches = [
        subprocess.Popen(
            ["ros2", "launch", str(LAUNCH_FILE), f"bundle:={bundle_root / 'tiny'}",
             "device:=cpu", f"namespace:={log.name}", "name:=lookout"],
            stdout=log.open("w"), stderr=subprocess.STDOUT,
        )
        for log in logs
    ]  # fmt: skip
    try:
        for log in logs:
            node = f"/{log.name}/lookout"
            heard = peer.listen(LabelArray, f"{node}/labels")
            peer.wait_for(lambda heard=heard: heard, f"labels of {node}")
            answer = peer.call(GetParameters, f"{node}/get_parameters", names=["autostart"])
            assert answer.values[0].bool_value
    finally:
        for launch in launches:
            launch.send_signal(signal.SIGINT)
        codes = [launch.wait(DEADLINE_S) for launch in launches]
        print(*(log.read_text() for log in logs))

    assert codes == [0, 0]
    assert not any("Traceback" in log.read_text() for log in logs)
