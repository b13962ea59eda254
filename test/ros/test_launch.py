"""Pins the launch files with the real `launch`: every argument is described, arguments reach the
node as parameters of its types, an argument that is given wins over the params file and that over
SetParameter, a missing params file ends the launch, and two launches live side by side. Skipped
where `launch` is not installed (it is not on the Python package index). That the real nav2
lifecycle manager brings the node up is left open: it is not installed here, a stand-in that asks
the same of the node is."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from rcl_interfaces.srv import GetParameters

from helpers import nav2_manager
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
    assert given(launch_file) == {}


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


@pytest.mark.parametrize("value", ["true", "false"])
def test_flags_that_are_given_are_passed_on(launch_file: ModuleType, value: str) -> None:
    parameters = given(launch_file, autostart=value, use_sim_time=value)

    assert parameters == {"autostart": value == "true", "use_sim_time": value == "true"}


def test_an_argument_outside_its_choices_is_refused(launch_file: ModuleType) -> None:
    with pytest.raises(RuntimeError, match="theora"):
        given(launch_file, image_transport="theora")


needs_ros2 = pytest.mark.skipif(
    shutil.which("ros2") is None, reason="the real ros2 command is not installed"
)


@contextmanager
def launched(log: Path, *command: object) -> Iterator[subprocess.Popen[bytes]]:
    """A real `ros2 launch`, ended by Ctrl-C."""
    with log.open("w") as output:
        launch = subprocess.Popen(
            ["ros2", "launch", *map(str, command)], stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield launch
        finally:
            if launch.poll() is None:
                launch.send_signal(signal.SIGINT)
            launch.wait(DEADLINE_S)
            print(log.read_text())


# Each case: lines of the params file, of SetParameter, arguments; then autostart, use_sim_time.
PRECEDENCE = {
    "nothing_given": ({}, {}, {}, True, False),
    "the_params_file": ({"autostart": False, "use_sim_time": True}, {}, {}, False, True),
    "set_parameter": ({}, {"autostart": False, "use_sim_time": True}, {}, False, True),
    "the_file_over_set_parameter": (
        {"autostart": False}, {"autostart": True, "use_sim_time": True}, {}, False, True,
    ),
    "arguments_over_both": (
        {"autostart": False, "use_sim_time": True}, {"autostart": False},
        {"autostart": "true", "use_sim_time": "false"}, True, False,
    ),
}  # fmt: skip


@needs_ros2
@pytest.mark.parametrize("node_in_file", ["/**", "/yard/lookout"])
@pytest.mark.parametrize("case", PRECEDENCE)
def test_what_is_given_wins_over_the_params_file_and_that_over_set_parameter(
    peer: Peer, bundle_root: Path, tmp_path: Path, case: str, node_in_file: str
) -> None:
    in_file, set_before, arguments, autostart, use_sim_time = PRECEDENCE[case]
    arguments = {
        "namespace": "yard", "name": "lookout", "device": "cpu",
        "bundle": str(bundle_root / "tiny"), **arguments,
    }  # fmt: skip
    if in_file:
        arguments["params_file"] = str(tmp_path / "params.yaml")
        file = {node_in_file: {"ros__parameters": in_file}}
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(file))
    outer = tmp_path / "outer.launch.py"
    outer.write_text(f"""
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import SetParameter

def generate_launch_description():
    return LaunchDescription([
        *(SetParameter(name, value) for name, value in {set_before!r}.items()),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource({str(LAUNCH_FILE)!r}),
            launch_arguments={arguments!r}.items(),
        ),
    ])
""")

    with launched(tmp_path / "log", outer):
        answer = peer.call(
            GetParameters, "/yard/lookout/get_parameters", names=["autostart", "use_sim_time"]
        )
        if autostart:
            peer.wait_for(lambda: peer.state("/yard/lookout") == "active", "an active node")
        found = [value.bool_value for value in answer.values]
        state = peer.state("/yard/lookout")

    assert found == [autostart, use_sim_time]
    assert state == ("active" if autostart else "unconfigured")


@needs_ros2
def test_a_params_file_that_does_not_exist_ends_the_launch_with_one_line(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"

    with launched(tmp_path / "log", LAUNCH_FILE, f"params_file:={missing}") as launch:
        code = launch.wait(DEADLINE_S)

    lines = [line for line in (tmp_path / "log").read_text().splitlines() if "[ERROR]" in line]
    assert code == 1
    assert len(lines) == 1
    assert str(missing) in lines[0]
    assert "process started" not in (tmp_path / "log").read_text()


@needs_ros2
def test_two_launches_live_side_by_side_and_end_with_ctrl_c(
    peer: Peer, bundle_root: Path, tmp_path: Path
) -> None:
    logs = [tmp_path / "front", tmp_path / "rear"]
    with ExitStack() as stack:
        launches = [
            stack.enter_context(
                launched(
                    *(log, LAUNCH_FILE, f"bundle:={bundle_root / 'tiny'}", "device:=cpu"),
                    *(f"namespace:={log.name}", "name:=lookout"),
                )
            )
            for log in logs
        ]
        for log in logs:
            node = f"/{log.name}/lookout"
            heard = peer.listen(LabelArray, f"{node}/labels")
            peer.wait_for(lambda heard=heard: heard, f"labels of {node}")
            answer = peer.call(GetParameters, f"{node}/get_parameters", names=["autostart"])
            assert answer.values[0].bool_value

    assert [launch.returncode for launch in launches] == [0, 0]
    assert not any("Traceback" in log.read_text() for log in logs)


@needs_ros2
@pytest.mark.parametrize("namespace", ["", "yard"])
def test_case_39_nav2s_lifecycle_manager_brings_the_node_up(
    peer: Peer,
    bundle_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    namespace: str,
) -> None:
    nav2_manager.install(tmp_path / "prefix")
    prefixes = f"{tmp_path / 'prefix'}{os.pathsep}{os.environ['AMENT_PREFIX_PATH']}"
    monkeypatch.setenv("AMENT_PREFIX_PATH", prefixes)
    node = f"/{namespace}/lookout".replace("//", "/")
    log = tmp_path / "log"

    with launched(
        *(log, LAUNCH_FILE.with_name("with_nav2_manager.launch.py"), "name:=lookout"),
        *(f"bundle:={bundle_root / 'tiny'}", "device:=cpu"),
        *([f"namespace:={namespace}"] if namespace else []),
    ):
        peer.wait_for(lambda: "Managed nodes are active" in log.read_text(), "the manager's word")
        state = peer.state(node)

    assert state == "active"
