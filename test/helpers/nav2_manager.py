"""A stand-in for nav2's lifecycle manager, which no wheel has: what it asks of a managed node.

It reads the same parameters, and takes each node to active: `change_state`, answered within the
service timeout, then `get_state`, which must agree. It wants no bond where the timeout is 0, and
gives up where it is not, since nothing here sends one. Written after the manager's documentation.
"""

from __future__ import annotations

import sys
from pathlib import Path

import rclpy
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.node import Node
from rclpy.parameter import Parameter

STEPS = (
    (Transition.TRANSITION_CONFIGURE, State.PRIMARY_STATE_INACTIVE),
    (Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE),
)


def install(prefix: Path) -> None:
    """Makes a package of it that `launch` finds under this prefix."""
    index = prefix / "share" / "ament_index" / "resource_index" / "packages"
    program = prefix / "lib" / "nav2_lifecycle_manager" / "lifecycle_manager"
    for folder in (index, program.parent):
        folder.mkdir(parents=True)
    (index / "nav2_lifecycle_manager").touch()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "$@"\n')
    program.chmod(0o755)


class Manager(Node):
    """Takes the nodes of `node_names` to active, and says so in its log."""

    def __init__(self) -> None:
        super().__init__("lifecycle_manager")
        self.declare_parameter("node_names", Parameter.Type.STRING_ARRAY)
        self.declare_parameter("autostart", False)
        self.declare_parameter("bond_timeout", 4.0)
        self.declare_parameter("service_timeout", 5.0)
        self._timeout_s = self.get_parameter("service_timeout").value

    def bring_up(self) -> None:
        """Configure and activate each node in turn."""
        if not self.get_parameter("autostart").value:
            return
        for name in self.get_parameter("node_names").value:
            for transition, goal in STEPS:
                request = ChangeState.Request()
                request.transition.id = transition
                self._call(ChangeState, f"{name}/change_state", request)
                state = self._call(GetState, f"{name}/get_state", GetState.Request())
                if state.current_state.id != goal:
                    raise SystemExit(f"Failed to change state for node: {name}")
        if self.get_parameter("bond_timeout").value > 0:
            raise SystemExit("unable to be reached by bond")
        self.get_logger().info("Managed nodes are active")

    def _call(self, kind, name: str, request):
        client = self.create_client(kind, name)
        if not client.wait_for_service(60.0):
            raise SystemExit(f"{name} service is not available")
        future = client.call_async(request)
        rclpy.spin_until_future_complete(self, future, timeout_sec=self._timeout_s)
        if not future.done():
            raise SystemExit(f"{name}: no answer within {self._timeout_s} s")
        return future.result()


if __name__ == "__main__":
    try:
        rclpy.init()
        manager = Manager()
        manager.bring_up()
        rclpy.spin(manager)
    except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
        pass
