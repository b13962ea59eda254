"""Pins that QoS overrides change how results are published, and that a wrong one is named. How
images are received is test_diagnostics.py's."""

from __future__ import annotations

import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from helpers.ros_peer import Peer

TOPIC = "/polymorph/labels"


def test_overrides_change_how_results_are_published(peer: Peer, make_node) -> None:
    node = make_node(
        **{
            f"qos_overrides.{TOPIC}.publisher.reliability": "best_effort",
            f"qos_overrides.{TOPIC}.publisher.durability": "transient_local",
            f"qos_overrides.{TOPIC}.publisher.depth": 3,
        }
    )

    for _ in range(2):  # again after cleanup, where the parameters are declared already
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        offered = peer.wait_for(
            lambda: peer.node.get_publishers_info_by_topic(TOPIC), "a publisher"
        )[0].qos_profile
        assert offered.reliability == ReliabilityPolicy.BEST_EFFORT
        assert offered.durability == DurabilityPolicy.TRANSIENT_LOCAL
        assert node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS


def test_without_overrides_one_topic_does_not_change_another(peer: Peer, make_node) -> None:
    node = make_node(**{f"qos_overrides.{TOPIC}.publisher.reliability": "best_effort"})
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS

    offered = peer.wait_for(
        lambda: peer.node.get_publishers_info_by_topic("/polymorph/events"), "a publisher"
    )[0].qos_profile

    assert offered.reliability == ReliabilityPolicy.RELIABLE
    assert offered.durability == DurabilityPolicy.VOLATILE


@pytest.mark.parametrize(
    ("policy", "value"), [("reliability", "sometimes"), ("durability", 3), ("depth", "deep")]
)
def test_a_wrong_override_is_named(peer: Peer, make_node, policy: str, value: object) -> None:
    node = make_node(**{f"qos_overrides.{TOPIC}.publisher.{policy}": value})

    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE

    assert f"qos_overrides.{TOPIC}.publisher" in node._fault
    assert policy in node._fault
    assert "restart" in node._fault


def test_a_wrong_override_of_an_image_topic_is_named(peer: Peer, make_node) -> None:
    node = make_node(**{"qos_overrides./image.subscription.reliability": "sometimes"})

    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE

    assert "qos_overrides./image.subscription" in node._fault
    assert "reliability" in node._fault


def test_a_wrong_override_of_the_last_topic_leaves_none_behind(peer: Peer, make_node) -> None:
    node = make_node(**{"qos_overrides./polymorph/debug_image.publisher.reliability": "maybe"})

    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE

    assert "/polymorph/debug_image" in node._fault
    assert {publisher.topic_name for publisher in node.publishers} == {
        "/parameter_events", "/diagnostics", "/rosout",
    } & {publisher.topic_name for publisher in node.publishers}  # fmt: skip
