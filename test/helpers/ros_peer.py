"""The robot around the node under test: a peer that publishes, listens, calls and waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import ChangeState, GetState
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import Image

from polymorph_ros.ros.harness.images import image_message

DEADLINE_S = 60.0


class Peer:
    """A node of the test with an executor; the node under test may be added to that executor."""

    def __init__(self, name: str = "peer") -> None:
        self.node = Node(name)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self._others: list[Node] = []

    def add(self, node: Node) -> None:
        """Spins another node together with this one and destroys it at the end."""
        self._others.append(node)
        self.executor.add_node(node)

    def wait_for(self, condition: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S):
        """Spins until the condition holds and gives its value; fails after the deadline."""
        end = time.monotonic() + deadline_s
        while not (value := condition()):
            assert time.monotonic() < end, f"{what}: not within {deadline_s} s"
            self.executor.spin_once(timeout_sec=0.05)
        return value

    def spin_for(self, seconds: float) -> None:
        """Spins for a while, to see that something does not happen."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)

    def listen(self, message_type: type[Any], topic: str, qos: QoSProfile | int = 50) -> list[Any]:
        """A list that every message of the topic is added to, from now on."""
        heard: list[Any] = []
        self.node.create_subscription(message_type, topic, heard.append, qos)
        self.wait_for(lambda: self.node.count_publishers(topic), f"a publisher of {topic}")
        return heard

    def now_ns(self) -> int:
        """The clock's time in nanoseconds."""
        return int(self.node.get_clock().now().nanoseconds)

    def images(
        self,
        topic: str,
        message_type: type[Any] = Image,
        qos: QoSProfile = qos_profile_sensor_data,
    ) -> Any:
        """A publisher on an image topic that has a subscriber."""
        publisher = self.node.create_publisher(message_type, topic, qos)
        self.wait_for(publisher.get_subscription_count, f"a subscriber of {topic}")
        return publisher

    @contextmanager
    def camera(
        self, publisher: Any, height: int = 48, width: int = 64, frame_id: str = "camera_optical"
    ) -> Iterator[None]:
        """Publishes images stamped now, 30 a second, while the peer spins.

        A loop that published without rest would keep Python's lock from the node under test.
        """

        def publish() -> None:
            shown = picture(0, height, width)
            publisher.publish(image_message(shown, stamp_ns=self.now_ns(), frame_id=frame_id))

        timer = self.node.create_timer(1 / 30, publish)
        try:
            yield
        finally:
            self.node.destroy_timer(timer)

    def call(self, service_type: type[Any], name: str, **request: Any) -> Any:
        """Calls a service and gives its response."""
        client = self.node.create_client(service_type, name)
        self.wait_for(client.service_is_ready, f"the service {name}")
        future = client.call_async(service_type.Request(**request))
        self.wait_for(future.done, f"a response of {name}")
        self.node.destroy_client(client)
        return future.result()

    def change_state(self, node: str, transition: int) -> bool:
        """Asks a managed node for a transition; tells whether it succeeded."""
        request = ChangeState.Request()
        request.transition.id = transition
        response = self.call(ChangeState, f"{node}/change_state", transition=request.transition)
        return bool(response.success)

    def state(self, node: str) -> str:
        """The state's label of a managed node."""
        return str(self.call(GetState, f"{node}/get_state").current_state.label)

    def close(self) -> None:
        for node in [*self._others, self.node]:
            self.executor.remove_node(node)
            node.destroy_node()
        self.executor.shutdown()


def latest_status(heard: Sequence[DiagnosticArray], suffix: str) -> DiagnosticStatus | None:
    """The last status whose name ends so, of the messages heard."""
    for message in reversed(heard):
        for status in message.status:
            if status.name.endswith(suffix):
                return status
    return None


def value_of(status: DiagnosticStatus, key: str) -> str:
    """One figure of a status."""
    return next(item.value for item in status.values if item.key == key)


def picture(seed: int = 0, height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """Random pixels of shape (height, width, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def start_rclpy() -> None:
    """Initialises rclpy for the test process, once."""
    if not rclpy.ok():
        rclpy.init()
