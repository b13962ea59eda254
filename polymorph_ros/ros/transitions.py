"""Lifecycle transitions on a thread of their own, so that the node answers while one takes long."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from lifecycle_msgs.srv import ChangeState
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNode

from polymorph_ros.ros.threads import TaskThread, result_of

Answer = TypeVar("Answer")


class Transitions:
    """Takes over the service ``~/change_state`` of a managed node.

    rclpy runs a transition inside the service's callback. All other services, timers and
    subscriptions of the node would wait for as long as it takes to load a model.

    Args:
        node: the node, with its lifecycle services.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._thread = TaskThread("polymorph-transitions")
        group = ReentrantCallbackGroup()
        for service in node.services:
            if service.srv_type is ChangeState:
                self._change_state = service.callback
                service.callback = self._on_change_state
                service.callback_group = group
                group.add_entity(service)

    def run(self, task: Callable[[], Answer]) -> Future[Answer]:
        """Run a task that triggers transitions, after those that were asked for before."""
        return self._thread.run(task)

    def end(self, patience_s: float) -> None:
        """Start no more transitions; wait a while for the present one."""
        self._thread.end(patience_s)

    async def _on_change_state(
        self, request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        changed: Any = await result_of(
            self.run(lambda: self._change_state(request, response)), self._node
        )
        return changed
