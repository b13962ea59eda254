"""Listen to one image topic without decoding what it carries."""

from __future__ import annotations

import statistics
import time
from itertools import pairwise
from typing import Any

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CompressedImage, Image

from polymorph_ros.interfaces.doctor import Stamps, TopicReport
from polymorph_ros.ros import qos
from polymorph_ros.ros.harness.recording import stamp_of

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # ROS 2 Humble
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError

IMAGE_TYPES = {
    "sensor_msgs/msg/Image": Image,
    "sensor_msgs/msg/CompressedImage": CompressedImage,
}

# As the node asks, but deeper: a message that this program is late for is not lost.
_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=100, reliability=ReliabilityPolicy.BEST_EFFORT
)
_TOO_SHORT = 4 + 8  # encapsulation and stamp


class TopicListener:
    """Receives a topic's messages as they are on the wire, and counts.

    Args:
        node: subscribes.
        topic: fully resolved. Without a publisher of an image type nothing is subscribed.
    """

    def __init__(self, node: Node, topic: str) -> None:
        self._node = node
        self._topic = topic
        self._arrivals_s: list[float] = []
        self._stamps_ns: list[int] = []
        self._ages_s: list[float] = []
        self._picture = ""
        self._largest = 0
        self._lost = 0
        types = [publisher.topic_type for publisher in self._publishers()]
        images = [name for name in types if name in IMAGE_TYPES]
        self._type_name = (images or types or [""])[0]
        self._type: Any = IMAGE_TYPES.get(self._type_name)
        self._start_s = time.monotonic()
        self._subscription = self._subscribe() if self._type else None

    def close(self) -> None:
        """End the subscription."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)

    @property
    def waits(self) -> bool:
        """Whether an image should have come, and none did."""
        return self._type is not None and not self._arrivals_s and not self._obstacle()

    def report(self) -> TopicReport:
        """What arrived until now. A rate counts from the first image on."""
        publishers = self._publishers()
        arrivals = self._arrivals_s
        seconds = time.monotonic() - (arrivals[0] if arrivals else self._start_s)
        gaps = [after - before for before, after in pairwise(arrivals)]
        return TopicReport(
            name=self._topic,
            type=self._type_name,
            publishers=len(publishers),
            qos=tuple(_offer(publisher) for publisher in publishers),
            obstacle=self._obstacle(),
            received=len(arrivals),
            lost=self._lost,
            seconds=round(seconds, 2),
            picture=self._picture,
            largest_bytes=self._largest,
            longest_gap_s=round(max(gaps, default=0.0), 3),
            stamps=_stamps(self._stamps_ns).value,
            age_s=round(statistics.median(self._ages_s), 3) if self._ages_s else None,
        )

    def _publishers(self) -> list[TopicEndpointInfo]:
        return qos.publishers_of(self._node, self._topic)

    def _obstacle(self) -> str:
        wanted = self._type_name if self._type else "sensor_msgs/msg/Image"
        return qos.unmatched(self._publishers(), self._topic, wanted, _QOS)

    def _subscribe(self) -> Any:
        def create(events: SubscriptionEventCallbacks) -> Any:
            return self._node.create_subscription(
                self._type, self._topic, self._on_message, _QOS, event_callbacks=events, raw=True
            )

        try:
            return create(SubscriptionEventCallbacks(message_lost=self._on_lost))
        except UnsupportedEventTypeError:  # a middleware that does not count lost messages
            return create(SubscriptionEventCallbacks())

    def _on_message(self, message: bytes) -> None:
        self._arrivals_s.append(time.monotonic())
        self._largest = max(self._largest, len(message))
        if len(message) < _TOO_SHORT:
            return
        stamp_ns = stamp_of(message)
        self._stamps_ns.append(stamp_ns)
        self._ages_s.append((time.time_ns() - stamp_ns) * 1e-9)
        self._picture = self._picture or self._describe(message)

    def _describe(self, message: bytes) -> str:
        try:
            image = deserialize_message(message, self._type)
        except Exception:
            return "a message that cannot be read"
        if self._type is Image:
            return f"{image.width}x{image.height} {image.encoding}"
        return str(image.format)

    def _on_lost(self, event: Any) -> None:
        self._lost += event.total_count_change


def _stamps(stamps_ns: list[int]) -> Stamps:
    if len(stamps_ns) < 2:
        return Stamps.NONE
    if not any(stamps_ns):
        return Stamps.ZERO
    steps = [after - before for before, after in pairwise(stamps_ns)]
    if min(steps) < 0:
        return Stamps.GO_BACK
    # Two cameras in one, or a driver that repeats a picture, stamp some images alike.
    advancing = sum(step > 0 for step in steps)
    return Stamps.ADVANCE if 2 * advancing >= len(steps) else Stamps.STAND_STILL


def _offer(publisher: TopicEndpointInfo) -> str:
    offer = publisher.qos_profile
    policies = (offer.reliability.name, offer.durability.name)
    return ", ".join(policy.lower().replace("_", " ") for policy in policies)
