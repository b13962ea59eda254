"""Pins that config/sros2_policy.xml allows what an active node publishes, subscribes and offers,
and nothing that is not there. Open: that a secure middleware enforces it (the wheels have none)."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from helpers.ros_peer import Peer
from polymorph_ros.interfaces import topics

ROOT = Path(__file__).resolve().parents[2]
OPTIONAL = {
    topics.CLASSIFICATION.under(), topics.VISION_LABEL_INFO.under(),  # with vision_msgs only
}  # fmt: skip
CAMERAS = {"/image", "/image/compressed", "/camera/image_raw", "/camera/image_raw/compressed"}
OTHERS = {"/clock", "/parameter_events"}


def allowed(kind: str, right: str) -> set[str]:
    """Full names of the node's topics or services with a right."""
    policy = ElementTree.parse(ROOT / "config" / "sros2_policy.xml")
    profile = policy.find(".//profile[@node='polymorph']")
    assert profile is not None
    return {
        str(entry.text).replace("~", "/polymorph")
        for group in profile
        if group.tag == f"{kind}s" and group.get(right) == "ALLOW"
        for entry in group
    }


def test_the_policy_fits_an_active_node(peer: Peer, active_node) -> None:
    active_node()
    graph = peer.node
    peer.wait_for(lambda: graph.count_publishers("/polymorph/label_info"), "the node")

    def names(ask) -> set[str]:
        return {name for name, _ in ask("polymorph", "/")}

    published = names(graph.get_publisher_names_and_types_by_node)
    subscribed = names(graph.get_subscriber_names_and_types_by_node)
    offered = names(graph.get_service_names_and_types_by_node)

    assert published - allowed("topic", "publish") == set()
    assert allowed("topic", "publish") - published <= OPTIONAL
    assert subscribed - allowed("topic", "subscribe") == set()
    assert allowed("topic", "subscribe") - subscribed <= CAMERAS | OTHERS
    assert offered == allowed("service", "reply")
