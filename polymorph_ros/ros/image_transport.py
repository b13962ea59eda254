"""The conventions of image_transport: where a transport's topic is, and what else there is.

A camera publishes raw images on a base topic and other forms of them below it:
``/camera/image_raw/compressed``, ``/camera/image_raw/ffmpeg``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rclpy.node import Node
from rclpy.validate_topic_name import validate_topic_name

RAW = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
DEPTH = "compressedDepth"
VIDEO = ("theora", "ffmpeg", "zstd", "foxglove")
"""Transports that this node cannot read; their own decoder can make raw images of them."""

TypesOf = Callable[[str], Sequence[str]]
"""Gives the message types that a fully resolved topic's publishers offer."""


def topic_of(node: Node, base: str, *, compressed: bool) -> str:
    """The topic to subscribe to; remappings of the base topic hold for its transports too.

    Args:
        base: a base topic, or the full name of a topic that ends in ``/compressed``.
        compressed: whether ``compressed`` is the transport.

    Raises:
        rclpy.exceptions.InvalidTopicNameException: the base topic is not a valid name.
    """
    validate_topic_name(base)  # resolving an invalid name fails without saying which it is
    resolved: str = node.resolve_topic_name(base)
    return f"{resolved}/compressed" if compressed and not _is_compressed(resolved) else resolved


def republish(transport: str, base: str = "TOPIC") -> str:
    """The command that makes raw images of a transport, in old and new versions of ROS 2."""
    return (
        f"ros2 run image_transport republish {transport} raw --ros-args "
        f"-p in_transport:={transport} -p out_transport:=raw "
        f"-r in/{transport}:={base}/{transport} -r out:={base}_raw"
    )


def refusal_remedy(transport: str) -> str:
    """What to do about a transport that this node does not have; empty where it is unknown."""
    if transport == DEPTH:
        return "it carries depth: give the topic of colour or grey images"
    if transport in VIDEO:
        return f"decode it first: {republish(transport)}, then give TOPIC_raw"
    return ""


def other_way(topic: str, types_of: TypesOf, *, compressed: bool) -> str:
    """What carries the pictures that the subscribed topic does not, and how to get them.

    Args:
        topic: the topic subscribed to, fully resolved.
        types_of: asks the graph.
        compressed: whether compressed images are asked for.

    Returns:
        the hint, or nothing where no such topic is known.
    """
    base = topic.removesuffix("/compressed")
    types = types_of(topic)
    if RAW in types and compressed:
        return f"{topic} carries raw images: set image_transport to raw and restart"
    if COMPRESSED in types and not compressed:
        return _compressed_images_on(topic)
    if compressed and RAW in types_of(base):
        return f"{base} carries raw images: set image_transport to raw, image_topics to it"
    if compressed and COMPRESSED in types_of(base):
        return f"{base} itself carries compressed images: {_remap(topic, base)}"
    if not compressed and COMPRESSED in types_of(f"{base}/compressed"):
        return _compressed_images_on(f"{base}/compressed")
    for transport in VIDEO:
        for name in (f"{base}/{transport}", topic if topic.endswith(f"/{transport}") else ""):
            if name and types_of(name):
                parent = name.removesuffix(f"/{transport}")
                return (
                    f"{name} carries {types_of(name)[0]}, which this node cannot read: decode it "
                    f"first: {republish(transport, parent)}"
                )
    return ""


def _compressed_images_on(topic: str) -> str:
    hint = f"{topic} carries compressed images: set image_transport to compressed and restart"
    return hint if _is_compressed(topic) else f"{hint}, and {_remap(f'{topic}/compressed', topic)}"


def _remap(asked: str, there: str) -> str:
    return f"remap with -r {asked}:={there}"


def _is_compressed(topic: str) -> bool:
    return topic.endswith("/compressed")
