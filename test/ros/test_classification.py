"""Pins `vision_msgs/Classification` and `LabelInfo` beside our own messages: with the real
vision_msgs where it is installed, else with a stand-in of the same wire format that is built for
the tests. That the node does without it where it is missing is what all other tests of the node
show."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from builtin_interfaces.msg import Time

from helpers.ros_peer import Peer, picture
from helpers.vision_msgs_build import vision_msgs
from polymorph_ros.interfaces.stamps import to_ns
from polymorph_ros.msg import LabelArray, LabelInfo
from polymorph_ros.ros import classification as subject
from polymorph_ros.ros.harness.images import image_message
from polymorph_ros.ros.qos import LATCHED


@pytest.fixture(scope="session")
def messages(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    return vision_msgs(tmp_path_factory.mktemp("vision_msgs"))


@pytest.fixture
def classification(messages: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The message type, known to the node too: its module may have been imported without."""
    for name in ("Classification", "ObjectHypothesis", "LabelInfo", "VisionClass"):
        monkeypatch.setattr(subject, name, getattr(messages, name), raising=False)
    return messages.Classification


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


def test_late_subscribers_get_the_vocabulary_as_vision_msgs_has_it(
    peer: Peer, active_node, messages: ModuleType, classification
) -> None:
    active_node()

    theirs = peer.listen(messages.LabelInfo, "polymorph/vision_label_info", LATCHED)
    ours = peer.listen(LabelInfo, "polymorph/label_info", LATCHED)
    peer.wait_for(lambda: theirs and ours, "both messages")

    names = {item.class_id: item.class_name for item in theirs[0].class_map}
    assert names == dict(enumerate(ours[0].labels))
    assert theirs[0].threshold == min(ours[0].on_thresholds)
    assert theirs[0].header.stamp == ours[0].header.stamp


def test_more_labels_than_class_ids_leave_the_reserved_one_alone(
    messages: ModuleType, classification
) -> None:
    info = subject.label_info([f"label {i}" for i in range(65540)], 0.5, Time())

    assert info.class_map[-1].class_id == 65534
