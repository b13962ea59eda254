"""Pins `vision_msgs/Classification` beside the labels, with the real vision_msgs. Skipped where it
is not installed (it is not on the Python package index): there the node does without it."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.ros_peer import Peer, image_message, picture
from polymorph_ros.msg import LabelArray
from polymorph_ros.ros.stamps import to_ns


@pytest.fixture
def classification() -> Any:
    """The message type. Skipping here, not at import, since launch_testing imports test modules."""
    module = pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not installed here")
    return module.Classification


def test_the_same_scores_are_published_as_a_classification(
    peer: Peer, active_node, classification
) -> None:
    active_node()
    heard = peer.listen(classification, "polymorph/classification")
    labels = peer.listen(LabelArray, "polymorph/labels")
    images = peer.images("image")

    images.publish(image_message(picture(), stamp_ns=7, frame_id="left_optical"))
    peer.wait_for(lambda: heard and labels, "a classification and labels")

    header = heard[0].header
    assert (to_ns(header.stamp), header.frame_id) == (7, "left_optical")
    found = {result.class_id: result.score for result in heard[0].results}
    assert found == pytest.approx({label.name: label.score for label in labels[0].labels})
    scores = [result.score for result in heard[0].results]
    assert scores == sorted(scores, reverse=True)


def test_it_lists_active_labels_only_where_that_is_asked_for(
    peer: Peer, active_node, classification
) -> None:
    active_node(publish__labels="active", threshold_shift=2.0)
    heard = peer.listen(classification, "polymorph/classification")
    labels = peer.listen(LabelArray, "polymorph/labels")
    images = peer.images("image")

    images.publish(image_message(picture()))
    peer.wait_for(lambda: heard and labels, "a classification and labels")

    assert {r.class_id for r in heard[0].results} == {label.name for label in labels[0].labels}


def test_it_can_be_switched_off(peer: Peer, active_node, classification) -> None:
    active_node(publish__classification=False)
    heard = peer.listen(classification, "polymorph/classification")
    labels = peer.listen(LabelArray, "polymorph/labels")

    peer.images("image").publish(image_message(picture()))
    peer.wait_for(lambda: labels, "labels")
    peer.spin_for(0.3)

    assert heard == []
