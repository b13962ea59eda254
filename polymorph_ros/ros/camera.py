"""One camera of the node: its subscription, its gate, and its frames on their way to the worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from polymorph_ros.errors import PolymorphError
from polymorph_ros.ros import qos
from polymorph_ros.ros.counters import FrameCounters
from polymorph_ros.ros.image_transport import COMPRESSED, RAW, other_way, topic_of
from polymorph_ros.ros.inbox import Inbox
from polymorph_ros.ros.lazy import LazyGate
from polymorph_ros.ros.lost_images import LostImages

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # ROS 2 Humble
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError

ImageMessage: TypeAlias = Image | CompressedImage


@dataclass(frozen=True)
class Received:
    """An image and when it was received, nanoseconds by the steady clock."""

    message: ImageMessage
    received_ns: int


class Camera:
    """Receives one camera's images and leaves the freshest in the inbox while the gate is open.

    Attributes:
        name: the camera's name, its key in the inbox.
        topic: the topic that is subscribed to, fully resolved, with the transport.
        header: header of the last image; empty before the first.
        opened_s: when the gate was opened, by the monotonic clock; none while it is closed.

    Raises:
        PolymorphError: the topic's name is not a valid one.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        topic: str,
        compressed: bool,
        inbox: Inbox[Received],
        gate: LazyGate,
    ) -> None:
        self.name = name
        self.counters = FrameCounters()
        self.header = Header()
        self.opened_s: float | None = None
        self._lost = LostImages()
        self._lock = threading.Lock()
        self._node = node
        self._inbox = inbox
        self._gate = gate
        self._message_type: type[Any] = CompressedImage if compressed else Image
        self._compressed = compressed
        self._subscription = self._subscribe(topic)
        self.topic: str = self._subscription.topic_name

    def open(self) -> None:
        """Let frames through."""
        self.opened_s = time.monotonic()

    def close(self) -> None:
        """Let no more frames through; those that arrive are not counted."""
        with self._lock:  # on return none is on its way into the inbox
            self.opened_s = None

    def destroy(self) -> None:
        """End the subscription."""
        self.close()
        self._node.destroy_subscription(self._subscription)

    @property
    def is_asleep(self) -> bool:
        """Whether images are ignored because nobody listens (parameter `lazy`)."""
        return self._gate.is_asleep(self.name)

    @property
    def qos(self) -> QoSProfile:
        """What the subscription asks for, overrides included."""
        profile: QoSProfile = self._subscription.qos_profile
        return profile

    def obstacle(self) -> str:
        """Why no image can be received; empty where a publisher matches."""
        publishers = qos.publishers_of(self._node, self.topic)
        kind = COMPRESSED if self._compressed else RAW
        obstacle = qos.unmatched(publishers, self.topic, kind, self.qos)
        if any(publisher.topic_type == kind for publisher in publishers):
            return obstacle
        hint = other_way(self.topic, self._types_of, compressed=self._compressed)
        return "; ".join(filter(None, (obstacle, hint)))

    def _types_of(self, topic: str) -> list[str]:
        return [publisher.topic_type for publisher in qos.publishers_of(self._node, topic)]

    def _subscribe(self, base: str) -> Any:
        def create(events: SubscriptionEventCallbacks) -> Any:
            topic = topic_of(self._node, base, compressed=self._compressed)
            with qos.named_overrides(self._node, topic, "subscription"):
                return self._node.create_subscription(
                    self._message_type,
                    topic,
                    self._on_image,
                    qos.images(),
                    event_callbacks=events,
                    qos_overriding_options=qos.overrides(),
                )

        try:
            return create(
                SubscriptionEventCallbacks(
                    incompatible_qos=self._on_incompatible_qos, message_lost=self._on_lost
                )
            )
        except InvalidTopicNameException:
            raise PolymorphError(
                "a valid topic name", repr(base), where="image_topics",
                remedy="restart the node with the right value",
            ) from None  # fmt: skip
        except UnsupportedEventTypeError:  # a middleware that does not count lost messages
            return create(SubscriptionEventCallbacks(incompatible_qos=self._on_incompatible_qos))

    def _on_image(self, message: ImageMessage, info: Mapping[str, Any]) -> None:
        with self._lock:
            self._lost.received(info, counted=self.opened_s is not None)
            self.counters.lost = self._lost.count
            if self.opened_s is None:
                return
            if not self._gate.passes(self.name):
                self.counters.last_arrival_s = time.monotonic()
                return
            self.header = message.header
            self.counters.arrived(len(message.data))
            if self._inbox.put(self.name, Received(message, time.monotonic_ns())):
                self.counters.dropped += 1

    def _on_incompatible_qos(self, _event: Any) -> None:
        self._node.get_logger().warning(
            f"camera {self.name}: {self.obstacle() or 'a publisher offers a QoS that cannot match'}"
        )

    def _on_lost(self, event: Any) -> None:
        if self.opened_s is not None:
            self._lost.reported(event.total_count_change)
            self.counters.lost = self._lost.count
