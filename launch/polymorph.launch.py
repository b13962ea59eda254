"""Start one `polymorph` node; start several by giving each its own name or namespace.

A launch argument that is given wins over `params_file`, which wins over `SetParameter`.

ros2 launch polymorph_ros polymorph.launch.py image_topic:=/camera/image_raw
ros2 launch polymorph_ros polymorph.launch.py namespace:=rear image_topic:=/rear/image_raw
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

FROM_FILE = ""  # an empty argument leaves the parameter as params_file or SetParameter has it

ARGUMENTS = (
    DeclareLaunchArgument("name", default_value="polymorph", description="name of the node"),
    DeclareLaunchArgument(
        "namespace", default_value="", description="namespace of the node and its image topics"
    ),
    DeclareLaunchArgument(
        "params_file",
        default_value="",
        description="parameter file of the node, such as a copy of config/polymorph.yaml; other "
        "arguments override it; empty: none",
    ),
    DeclareLaunchArgument(
        "autostart",
        default_value=FROM_FILE,
        choices=[FROM_FILE, "true", "false"],
        description="configure and activate the node at start; empty: from params_file, else true",
    ),
    DeclareLaunchArgument(
        "cameras",
        default_value=FROM_FILE,
        description="names of the cameras, separated by commas; empty: from params_file",
    ),
    DeclareLaunchArgument(
        "image_topic",
        default_value=FROM_FILE,
        description="image topic of each camera, separated by commas; empty: from params_file",
    ),
    DeclareLaunchArgument(
        "image_transport",
        default_value=FROM_FILE,
        choices=[FROM_FILE, "raw", "compressed"],
        description="transport of the image topics; empty: from params_file",
    ),
    DeclareLaunchArgument(
        "bundle",
        default_value=FROM_FILE,
        description="bundle folder; empty: from params_file, else the default bundle",
    ),
    DeclareLaunchArgument(
        "device",
        default_value=FROM_FILE,
        description="where the model runs: auto, cpu, cuda or cuda:N; empty: from params_file",
    ),
    DeclareLaunchArgument(
        "use_sim_time",
        default_value=FROM_FILE,
        choices=[FROM_FILE, "true", "false"],
        description="use the time of /clock; empty: from params_file, else false",
    ),
    DeclareLaunchArgument(
        "log_level",
        default_value="info",
        choices=["debug", "info", "warn", "error", "fatal"],
        description="minimum severity of log messages",
    ),
)

LISTS = {"cameras": "cameras", "image_topic": "image_topics"}
TEXTS = ("image_transport", "bundle", "device")
FLAGS = ("autostart", "use_sim_time")


def generate_launch_description() -> LaunchDescription:
    """The arguments, then the node that they describe."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=_node)])


def _node(context: LaunchContext) -> list[Node]:
    def value(argument: str) -> str:
        return LaunchConfiguration(argument).perform(context).strip()

    return [
        Node(
            package="polymorph_ros",
            executable="polymorph_node",
            name=value("name"),
            namespace=value("namespace"),
            parameters=[*_params_file(value("params_file")), *filter(None, [_given(value)])],
            # The first of all, so that everything else wins over it.
            ros_arguments=["-p", "autostart:=true", "--log-level", value("log_level")],
            output="screen",
            emulate_tty=True,
        )
    ]


def _params_file(path: str) -> list[Path]:
    """The file to give to the node, if any; launch itself goes on where it does not exist."""
    file = Path(path).expanduser()
    if path and not file.is_file():
        raise RuntimeError(f"params_file: expected a parameter file, found none at {file}")
    return [file] if path else []


def _given(value: Callable[[str], str]) -> dict[str, Any]:
    """The parameters that the arguments set, as the node's own types."""
    parameters: dict[str, Any] = {flag: value(flag) == "true" for flag in FLAGS if value(flag)}
    for argument, parameter in LISTS.items():
        if value(argument):
            parameters[parameter] = [item.strip() for item in value(argument).split(",")]
    for name in TEXTS:
        if value(name):
            parameters[name] = value(name)
    return parameters
