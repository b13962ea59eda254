"""Pins that every image sent to an active node is counted: received, or lost, whatever became of
it in the middleware; and that a loss with two witnesses is counted once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message

from helpers.ros_peer import Peer, picture
from polymorph_ros.ros.harness.images import image_message
from polymorph_ros.ros.lost_images import LostImages

MANY = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)


def numbered(number: int, publisher: bytes = b"one") -> dict[str, object]:
    return {"publication_sequence_number": number, "publisher_gid": {"data": publisher}}


def test_images_that_the_queue_overwrites_are_counted_as_lost(peer: Peer, active_node) -> None:
    counters = active_node()._session.cameras["camera"].counters
    images = peer.images("image", qos=MANY)
    images.publish(image_message(picture()))
    peer.wait_for(lambda: counters.received, "a first image")

    for _ in range(20):  # while nobody takes any: the node's queue holds 5
        images.publish(image_message(picture()))
    images.wait_for_all_acked()

    peer.wait_for(lambda: counters.received + counters.lost >= 21, "the fate of all images")
    assert (counters.received, counters.lost) == (6, 15)


def test_images_that_cannot_be_read_are_counted_as_lost(peer: Peer, active_node) -> None:
    counters = active_node()._session.cameras["camera"].counters
    images = peer.images("image", qos=MANY)
    whole = serialize_message(image_message(picture()))

    for content in (whole, whole[:4], whole[:40], whole):
        images.publish(content)
        peer.spin_for(0.05)

    peer.wait_for(lambda: counters.received + counters.lost >= 4, "the fate of all images")
    assert (counters.received, counters.lost) == (2, 2)


def test_images_that_an_inactive_node_ignores_are_not_lost(peer: Peer, active_node) -> None:
    node = active_node()
    counters = node._session.cameras["camera"].counters
    images = peer.images("image", qos=MANY)
    images.publish(image_message(picture()))
    peer.wait_for(lambda: counters.received, "a first image")

    node.trigger_deactivate()
    for _ in range(20):
        images.publish(image_message(picture()))
    images.wait_for_all_acked()
    peer.spin_for(0.2)
    node.trigger_activate()
    images.publish(image_message(picture()))

    peer.wait_for(lambda: counters.received == 2, "an image after activation")
    assert counters.lost == 0


@pytest.mark.parametrize("reported_first", [True, False])
def test_a_loss_that_is_shown_and_reported_counts_once(reported_first: bool) -> None:
    lost = LostImages()
    lost.received(numbered(1), counted=True)

    if reported_first:
        lost.reported(4)
    lost.received(numbered(6), counted=True)
    if not reported_first:
        lost.reported(4)

    assert lost.count == 4


def test_what_only_the_middleware_knows_counts_at_once() -> None:
    lost = LostImages()
    lost.reported(3)
    assert lost.count == 3, "no image came through at all"

    lost.received({"publication_sequence_number": None}, counted=True)
    lost.reported(2)
    assert lost.count == 5, "a middleware without sequence numbers"


@given(
    taken=st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60),
)
def test_what_is_sent_is_received_or_lost(taken: list[tuple[bool, bool]]) -> None:
    """Two publishers; each message is received or missing; the first and last are received."""
    lost, received = LostImages(), 0
    numbers = {False: 0, True: 0}
    for second, arrives in [(False, True), (True, True), *taken, (False, True), (True, True)]:
        numbers[second] += 1
        if arrives:
            received += 1
            lost.received(numbered(numbers[second], b"two" if second else b"one"), counted=True)

    assert received + lost.count == sum(numbers.values())
