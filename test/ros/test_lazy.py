"""Pins the parameter `lazy`: no image is labelled while nobody subscribes to results, and belief
starts anew when somebody does. Off by default, which all other tests of the node show."""

from __future__ import annotations

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from test_diagnostics import wait_for_words
from test_live_parameters import set_together

from helpers.ros_peer import Peer
from polymorph_ros.msg import ContextState, EnergyReport, LabelArray
from polymorph_ros.ros.lazy import LazyGate
from polymorph_ros.ros.publishers import ResultPublishers


def camera_of(node):
    return node._session.cameras["camera"]


def test_case_44_nothing_is_labelled_while_nobody_listens(peer: Peer, active_node) -> None:
    node = active_node(lazy=True)
    reports = peer.listen(DiagnosticArray, "/diagnostics")

    with peer.camera(peer.images("image")):
        status = wait_for_words(peer, reports, ": camera camera", "lazy")

    assert status.level == DiagnosticStatus.OK
    assert camera_of(node).counters.received == 0


@pytest.mark.parametrize(
    ("message_type", "topic"),
    [(LabelArray, "labels"), (ContextState, "context"), (EnergyReport, "energy")],
)
def test_case_44_a_subscriber_of_any_output_wakes_it(
    peer: Peer, active_node, message_type, topic: str
) -> None:
    node = active_node(lazy=True)
    images = peer.images("image")
    with peer.camera(images):
        peer.wait_for(lambda: camera_of(node).is_asleep, "a sleeping camera")

        heard = peer.listen(message_type, f"polymorph/{topic}")

        peer.wait_for(lambda: heard, f"a message on {topic}")


def test_case_44_belief_starts_anew_after_a_pause(
    peer: Peer, active_node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = active_node(lazy=True, reuse_s=0.0)
    # A new subscriber may miss the first answer, so the reasons are taken where they are published.
    reasons: list[str] = []
    publish = ResultPublishers.publish

    def note(self, result, *arguments):
        reasons.append(result.cover.reason)
        publish(self, result, *arguments)

    monkeypatch.setattr(ResultPublishers, "publish", note)
    images = peer.images("image")
    with peer.camera(images):
        first = peer.node.create_subscription(ContextState, "polymorph/context", print, 10)
        peer.wait_for(lambda: len(reasons) > 2, "answers")
        peer.node.destroy_subscription(first)
        peer.wait_for(lambda: camera_of(node).is_asleep, "a sleeping camera")
        before = list(reasons)

        peer.node.create_subscription(ContextState, "polymorph/context", print, 10)
        peer.wait_for(lambda: len(reasons) > len(before) + 1, "answers again")

    assert before[0] != before[1]
    assert before[0] in reasons[len(before) : len(before) + 2]  # after one that was in work


def test_case_44_a_topic_that_is_switched_off_wakes_nobody(peer: Peer, active_node) -> None:
    node = active_node(lazy=True, publish__energy=False)
    peer.listen(EnergyReport, "polymorph/energy")

    with peer.camera(peer.images("image")):
        peer.wait_for(lambda: camera_of(node).is_asleep, "a sleeping camera")
        peer.spin_for(0.2)

    assert camera_of(node).counters.received == 0


def test_case_44_it_can_be_switched_while_the_node_runs(peer: Peer, active_node) -> None:
    node = active_node()
    with peer.camera(peer.images("image")):
        peer.wait_for(lambda: camera_of(node).counters.answered, "an answer that nobody hears")

        assert set_together(peer, lazy=True).successful
        peer.wait_for(lambda: camera_of(node).is_asleep, "a sleeping camera")
        assert set_together(peer, lazy=False).successful

        peer.wait_for(lambda: not camera_of(node).is_asleep, "an awake camera")


def test_a_gate_wakes_each_camera_once() -> None:
    listened, woken = [False], []
    gate = LazyGate(True, lambda: listened[0], woken.append)

    assert not gate.passes("left")
    listened[0] = True
    assert gate.passes("left")
    assert gate.passes("left")
    assert gate.passes("right")

    assert woken == ["left"]
