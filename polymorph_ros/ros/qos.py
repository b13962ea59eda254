"""Quality of service: what is requested, and why a publisher cannot match it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSCompatibility,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.topic_endpoint_info import TopicEndpointInfo

from polymorph_ros.errors import PolymorphError
from polymorph_ros.interfaces.topics import Topic


def _profile(*, latched: bool) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=1 if latched else 10,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


RESULTS = _profile(latched=False)
"""Reliable, volatile, last 10: a subscriber may ask for best effort or reliable."""

LATCHED = _profile(latched=True)
"""Reliable, transient local, last 1: late subscribers get the last message too."""


@contextmanager
def named_overrides(node: Node, topic: str, kind: str) -> Iterator[None]:
    """Names the QoS overrides of a topic where rclpy refuses one of them.

    Args:
        node: whose topic it is.
        topic: its name.
        kind: "publisher" or "subscription".

    Raises:
        PolymorphError: rclpy refused a value.
    """
    try:
        yield
    except (RuntimeError, AttributeError, ParameterException) as error:
        if isinstance(error, RuntimeError) and type(error) is not RuntimeError:
            raise  # one of rclpy's own, about something else
        name = node.resolve_topic_name(topic)
        raise PolymorphError(
            "QoS policies that ROS 2 has", str(error), where=f"qos_overrides.{name}.{kind}",
            remedy="restart the node with the right value",
        ) from None  # fmt: skip


def create_publisher(node: Node, undo: ExitStack, message_type: type[Any], topic: Topic) -> Any:
    """A publisher of results, whose QoS ``qos_overrides.<topic>.publisher.*`` may change.

    Args:
        node: the node that publishes.
        undo: destroys the publisher when it is closed.
        message_type: the class of the messages.
        topic: the topic, private to the node.

    Raises:
        PolymorphError: an override is no value of its policy.
    """
    with named_overrides(node, topic.private, "publisher"):
        publisher = node.create_publisher(
            message_type,
            topic.private,
            _profile(latched=topic.latched),  # rclpy writes overrides into it
            qos_overriding_options=overrides(),
        )
    undo.callback(node.destroy_publisher, publisher)
    return publisher


def images() -> QoSProfile:
    """Sensor data: best effort, volatile, last 5; matches every publisher unless overridden.

    A new one for each subscription, since rclpy writes overrides into the profile it is given.
    """
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.BEST_EFFORT
    )


def overrides() -> QoSOverridingOptions:
    """Lets ``qos_overrides.<topic>.*`` parameters change a subscription or publisher."""
    return QoSOverridingOptions(
        policy_kinds=(
            QoSPolicyKind.HISTORY,
            QoSPolicyKind.DEPTH,
            QoSPolicyKind.RELIABILITY,
            QoSPolicyKind.DURABILITY,
        )
    )


def unmatched(
    publishers: Sequence[TopicEndpointInfo], topic: str, type_name: str, asked: QoSProfile
) -> str:
    """Why this node can receive from none of a topic's publishers; empty where it can.

    Args:
        publishers: what the graph knows of the topic's publishers.
        type_name: the message type of the subscription, as ``sensor_msgs/msg/Image``.
        asked: the subscription's QoS.
    """
    if not publishers:
        return f"no publisher on {topic} ({type_name})"
    same_type = [publisher for publisher in publishers if publisher.topic_type == type_name]
    if not same_type:
        found = publishers[0].topic_type
        return f"{topic} has type {found}, this node expects {type_name}"
    for publisher in same_type:
        compatibility, _ = qos_check_compatible(publisher.qos_profile, asked)
        if compatibility != QoSCompatibility.ERROR:
            return ""
    return _mismatch(same_type[0], topic, asked)


def _mismatch(publisher: TopicEndpointInfo, topic: str, asked: QoSProfile) -> str:
    """Which policy of a publisher cannot match, and the parameter that makes it match."""
    who = f"the publisher of {topic} ({publisher.node_name})"
    offer = publisher.qos_profile
    for policy, wanted, offered in (
        ("reliability", ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT),
        ("durability", DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE),
    ):
        if getattr(asked, policy) == wanted and getattr(offer, policy) == offered:
            parameter = f"qos_overrides.{topic}.subscription.{policy}"
            return (
                f"{who} offers {_plain(offered)}, this node asks for {_plain(wanted)}, "
                f"so no image can arrive: set {parameter} to {offered.name.lower()}"
            )
    return f"{who} offers a QoS that this node's cannot match: see `ros2 topic info -v {topic}`"


def _plain(value: ReliabilityPolicy | DurabilityPolicy) -> str:
    return str(value.name).lower().replace("_", " ")


def publishers_of(node: Node, topic: str) -> list[TopicEndpointInfo]:
    """The publishers of a fully resolved topic."""
    return list(node.get_publishers_info_by_topic(topic))
