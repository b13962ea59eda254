"""Pins sentences of docs/node.md that no other test pins: the tables of topics and services with
their QoS, no bond, one status for each part in every state, and what stays as it is when another
bundle is loaded. Parameters are test_node_settings.py's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from helpers.ros_peer import Peer, picture
from polymorph_ros.interfaces import topics
from polymorph_ros.msg import LabelArray, LabelEvent, LabelInfo
from polymorph_ros.ros import qos
from polymorph_ros.ros.harness.images import image_message
from polymorph_ros.srv import LoadBundle

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "node.md").read_text()
STATUSES = {"node", "camera left", "camera right", "model", "energy", "capture"}
OF_CONFIGURED = {"camera left", "camera right"}
LATCHED = {topics.LABEL_INFO.under(), topics.VISION_LABEL_INFO.under()}
WITH_VISION_MSGS = {topics.CLASSIFICATION.under(), topics.VISION_LABEL_INFO.under()}
OF_ROS = {"/rosout", "/parameter_events", "/polymorph/transition_event"}
SERVICES_OF_ROS = re.compile(r"parameter|state|transition|type_description")


def table(heading: str) -> list[list[str]]:
    """The cells of the first table after a heading, without its head."""
    rows = TEXT.split(heading, 1)[1].split("\n|---", 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    return [[cell.strip(" `") for cell in row.strip("|").split(" | ")] for row in rows]


def test_the_documented_topics_are_those_of_an_active_node(peer: Peer, active_node) -> None:
    active_node()
    documented = {cells[0].replace("~", "/polymorph"): cells[1] for cells in table("Published, ")}
    ask = peer.node.get_publisher_names_and_types_by_node
    peer.wait_for(lambda: "/polymorph/label_info" in dict(ask("polymorph", "/")), "the node")

    published = {
        name: types[0].replace("/msg/", "/") for name, types in ask("polymorph", "/")
    }  # fmt: skip

    missing = set(documented) - set(published)
    assert missing <= WITH_VISION_MSGS
    assert set(published) - set(documented) == OF_ROS, "a bond among them would be a surprise"
    assert {name: published[name] for name in set(documented) - missing} == {
        name: kind for name, kind in documented.items() if name not in missing
    }


def test_the_documented_services_are_those_of_the_node(peer: Peer, make_node) -> None:
    make_node()
    ask = peer.node.get_service_names_and_types_by_node
    peer.wait_for(lambda: ask("polymorph", "/"), "the node")

    offered = {name for name, _ in ask("polymorph", "/") if not SERVICES_OF_ROS.search(name)}

    assert offered == {cells[0].replace("~", "/polymorph") for cells in table("## Services")}


def test_results_are_reliable_and_volatile_and_label_information_is_latched(
    peer: Peer, active_node
) -> None:
    active_node()
    labels = topics.LABELS.under()
    peer.wait_for(lambda: peer.node.count_publishers(labels), "the node")

    for topic in (topic for cells in table("Published, ") if (topic := cells[0]) != "/diagnostics"):
        name = topic.replace("~", "/polymorph")
        for offered in peer.node.get_publishers_info_by_topic(name):
            latched = offered.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
            assert offered.qos_profile.reliability == ReliabilityPolicy.RELIABLE, name
            assert latched == (name in LATCHED), name
    assert (qos.RESULTS.depth, qos.LATCHED.depth) == (10, 1)


def test_each_part_has_its_status_in_every_state(peer: Peer, make_node) -> None:
    make_node(cameras=["left", "right"])
    reports = peer.listen(DiagnosticArray, "/diagnostics")

    for wanted, transition in (
        (STATUSES - OF_CONFIGURED, Transition.TRANSITION_CONFIGURE),
        (STATUSES, Transition.TRANSITION_ACTIVATE),
        (STATUSES, Transition.TRANSITION_DEACTIVATE),
        (STATUSES, Transition.TRANSITION_CLEANUP),
        (STATUSES - OF_CONFIGURED, None),
    ):
        reports.clear()
        peer.wait_for(lambda: len(reports) >= 2, "a report of this state")
        names = [status.name for status in reports[-1].status]
        assert set(names) == {f"/polymorph: {part}" for part in wanted}
        assert len(names) == len(set(names))
        if transition is not None:
            assert peer.change_state("polymorph", transition)


def test_another_bundle_changes_neither_the_parameter_nor_the_threads(
    peer: Peer, active_node, bundle_root: Path
) -> None:
    node = active_node(cpu_threads=1)
    given = node.get_parameter("bundle").value
    infos = peer.listen(LabelInfo, "/polymorph/label_info", qos.LATCHED)

    assert peer.call(LoadBundle, "/polymorph/load_bundle", path="other").success
    peer.wait_for(lambda: infos and infos[-1].bundle == "other", "the other bundle")

    assert node.get_parameter("bundle").value == given == str(bundle_root / "tiny")
    assert node._session.loaded.cpu_threads == 1 == torch.get_num_threads()
    for transition in (
        Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP,
        Transition.TRANSITION_CONFIGURE,
    ):  # fmt: skip
        assert peer.change_state("polymorph", transition)
    peer.wait_for(lambda: infos[-1].bundle == "tiny", "the bundle of the parameter")


@pytest.mark.parametrize(
    "transition", [Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVE_SHUTDOWN]
)
def test_what_is_active_vanishes_before_the_node_falls_silent(
    peer: Peer, active_node, transition: int
) -> None:
    active_node()
    events = peer.listen(LabelEvent, "/polymorph/events")
    labels = peer.listen(LabelArray, "/polymorph/labels")
    peer.images("image").publish(image_message(picture(), stamp_ns=1))
    peer.wait_for(lambda: labels, "an answer")
    active = {label.name for label in labels[0].labels if label.active}
    assert active

    assert peer.change_state("polymorph", transition)
    peer.wait_for(lambda: len(events) == 2 * len(active), "an end for each beginning")

    ended = [event for event in events if event.kind == LabelEvent.VANISHED]
    assert {event.name for event in ended} == active
    assert {event.reason for event in ended} == {"deactivated"}
