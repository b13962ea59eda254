"""Start the node and let nav2's lifecycle manager configure and activate it.

ros2 launch polymorph_ros with_nav2_manager.launch.py image_topic:=/camera/image_raw

An example: in a robot's own launch file, add the node's name to the `node_names` of the manager
that is there already, and these two timeouts with it.
"""

from __future__ import annotations

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

MANAGER = {
    "autostart": True,
    # The node sends no bond: with a bond timeout the manager would wait for one, and give up.
    "bond_timeout": 0.0,
    # Configure loads weights, which takes seconds from a cold disk. The default is 5.
    "service_timeout": 60.0,
}


def generate_launch_description() -> LaunchDescription:
    """The node without autostart, and the manager that takes it through its states."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "name", default_value="polymorph", description="name of the node"
            ),
            DeclareLaunchArgument(
                "namespace", default_value="", description="namespace of the node and the manager"
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(Path(__file__).with_name("polymorph.launch.py"))),
                launch_arguments={"autostart": "false"}.items(),
            ),
            Node(
                package="nav2_lifecycle_manager",
                executable="lifecycle_manager",
                name="lifecycle_manager_perception",
                namespace=LaunchConfiguration("namespace"),
                parameters=[MANAGER, {"node_names": [[LaunchConfiguration("name")]]}],
                output="screen",
            ),
        ]
    )
