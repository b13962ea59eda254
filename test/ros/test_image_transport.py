"""Pins image_transport's conventions: the base topic is enough for compressed images, and where
only another form of it is published, diagnostics name that and the remedy. That the commands for
`republish` run is left open: image_transport is not installed here."""

from __future__ import annotations

import cv2
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.lifecycle import TransitionCallbackReturn
from sensor_msgs.msg import CompressedImage, Image, PointCloud2
from test_diagnostics import wait_for_words

from helpers.ros_peer import Peer, picture
from polymorph_ros.msg import LabelArray
from polymorph_ros.ros.image_transport import COMPRESSED, RAW, other_way
from polymorph_ros.ros.node import PolymorphNode


@pytest.mark.parametrize(
    "topic", ["/camera/image_raw", "camera/image_raw", "/camera/image_raw/compressed"]
)
def test_case_15_the_base_topic_finds_its_compressed_images(
    peer: Peer, active_node, topic: str
) -> None:
    active_node(image_topics=[topic], image_transport="compressed")
    heard = peer.listen(LabelArray, "polymorph/labels")
    images = peer.images("/camera/image_raw/compressed", CompressedImage)

    jpeg = cv2.imencode(".jpg", picture())[1].tobytes()
    images.publish(CompressedImage(format="jpeg", data=jpeg))

    peer.wait_for(lambda: heard, "labels")


def test_case_15_a_remapped_base_topic_finds_its_compressed_images(peer: Peer, bundle_root) -> None:
    arguments = ["-r", "image:=/camera/image_raw", "-p", "image_transport:=compressed"]
    arguments += ["-p", f"bundle:={bundle_root / 'tiny'}", "-p", "device:=cpu"]
    node = PolymorphNode(cli_args=["--ros-args", *arguments, "-p", "cpu_threads:=1"])
    peer.add(node)
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS

    assert peer.images("/camera/image_raw/compressed", CompressedImage)


@pytest.mark.parametrize(
    ("transport", "topic", "published", "message_type", "hint"),
    [
        ("raw", "/cam", "/cam/compressed", CompressedImage, "set image_transport to compressed"),
        ("compressed", "/cam", "/cam", Image, "set image_transport to raw"),
        ("compressed", "/cam", "/cam", CompressedImage, "-r /cam/compressed:=/cam"),
        ("raw", "/cam", "/cam/theora", PointCloud2, "republish theora raw"),
        ("compressed", "/cam", "/cam/ffmpeg", PointCloud2, "republish ffmpeg raw"),
    ],
)
def test_case_15_the_topic_that_does_carry_pictures_is_named(
    peer: Peer, active_node, transport, topic, published, message_type, hint
) -> None:
    active_node(image_topics=[topic], image_transport=transport)
    peer.node.create_publisher(message_type, published, 5)
    reports = peer.listen(DiagnosticArray, "/diagnostics")

    status = wait_for_words(peer, reports, ": camera camera", hint)

    assert f"{published} " in status.message
    assert status.level == DiagnosticStatus.ERROR


@pytest.mark.parametrize(
    ("graph", "topic", "compressed", "words"),
    [
        ({}, "/cam", False, ""),
        ({}, "/cam/compressed", True, ""),
        ({"/cam": [RAW]}, "/cam/compressed", True, "/cam carries raw images"),
        ({"/cam/compressed": [COMPRESSED]}, "/cam", False, "/cam/compressed carries compressed"),
        ({"/cam/compressed": [COMPRESSED]}, "/cam/compressed", False, "to compressed"),
        ({"/jpeg": [COMPRESSED]}, "/jpeg", False, "-r /jpeg/compressed:=/jpeg"),
        ({"/jpeg": [COMPRESSED]}, "/jpeg/compressed", True, "-r /jpeg/compressed:=/jpeg"),
        ({"/a/compressed": [RAW]}, "/a/compressed", True, "/a/compressed carries raw images"),
        ({"/cam/zstd": ["x/Y"]}, "/cam", False, "-r in/zstd:=/cam/zstd -r out:=/cam_raw"),
        ({"/cam/zstd": ["x/Y"]}, "/cam/zstd", False, "-r in/zstd:=/cam/zstd -r out:=/cam_raw"),
        ({"/cam/compressedDepth": [COMPRESSED]}, "/cam", False, ""),
        ({"/other": [RAW]}, "/cam", False, ""),
    ],
)
def test_the_hint_names_what_is_there(graph, topic, compressed, words) -> None:
    hint = other_way(topic, lambda name: graph.get(name, []), compressed=compressed)

    assert words in hint
    assert bool(words) == bool(hint)


@pytest.mark.parametrize("transport", ["compressedDepth", "theora"])
def test_case_11_a_transport_that_the_node_cannot_read_is_refused_by_name(
    make_node, transport: str
) -> None:
    node = make_node(image_transport=transport)

    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE

    assert transport in node._fault
    assert "restart" in node._fault
