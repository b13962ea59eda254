"""Pins events and stamps over real DDS: what appeared vanishes once, whatever the node is told.
Images whose stamps stand still, jump or come late are answered, diagnostics say so, and nothing
starts anew.

Left open: all orders of these (test/runtime/test_label_events.py and test_time_base.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from helpers.ros_peer import Peer, latest_status, picture, value_of
from polymorph_ros.interfaces.stamps import to_ns
from polymorph_ros.msg import ContextState, LabelArray, LabelEvent
from polymorph_ros.ros.event_log import EventLog
from polymorph_ros.ros.harness.images import image_message
from polymorph_ros.srv import LoadBundle, ResetContext

SECOND_NS = 1_000_000_000
PERIOD_NS = SECOND_NS // 30
START_NS = 1_700_000_000 * SECOND_NS


class Robot:
    """A camera that sends one image after the other, and everything that the node says."""

    def __init__(self, peer: Peer, active_node, **parameters: object) -> None:
        self.node = active_node(**parameters)
        self._peer = peer
        self.labels = peer.listen(LabelArray, "polymorph/labels")
        self.events = peer.listen(LabelEvent, "polymorph/events", 500)
        self.contexts = peer.listen(ContextState, "polymorph/context")
        self.reports = peer.listen(DiagnosticArray, "/diagnostics")
        self._images = peer.images("image")

    def send(self, stamp_ns: int) -> LabelArray:
        """One image; gives its answer."""
        before, contexts = len(self.labels), len(self.contexts)
        self._images.publish(image_message(picture(), stamp_ns=stamp_ns))
        self._peer.wait_for(
            lambda: len(self.labels) > before and len(self.contexts) > contexts, "an answer"
        )
        return self.labels[-1]

    def active(self) -> set[str]:
        return {label.name for label in self.labels[-1].labels if label.active}

    def settled(self) -> list[LabelEvent]:
        """All events so far; waits until none is on its way."""
        self._peer.spin_for(0.3)
        return list(self.events)

    def camera_status(self, words: str) -> DiagnosticStatus:
        """The camera's status, as soon as its message has these words."""

        def found() -> DiagnosticStatus | None:
            status = latest_status(self.reports, "camera camera")
            return status if status and words in status.message else None

        return self._peer.wait_for(found, f"a camera status with {words!r}")


def open_labels(events: Sequence[LabelEvent]) -> set[str]:
    """What appeared and has not vanished; checks that events pair and none is missing."""
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert len({event.incarnation for event in events}) <= 1
    found: set[str] = set()
    for event in events:
        if event.kind == LabelEvent.APPEARED:
            assert event.name not in found
            assert event.reason == ""
            found.add(event.name)
        else:
            found.remove(event.name)
    return found


def test_every_appeared_has_one_vanished_whatever_the_node_is_told(peer: Peer, active_node) -> None:
    robot = Robot(peer, active_node)
    reasons: list[str] = []

    def ended() -> None:
        events = robot.settled()
        assert open_labels(events) == set()
        assert events[-1].kind == LabelEvent.VANISHED
        reasons.append(events[-1].reason)

    def labels_are_active() -> None:
        robot.send(START_NS + len(robot.labels) * PERIOD_NS)
        assert robot.active()
        assert open_labels(robot.settled()) == robot.active()

    labels_are_active()
    assert peer.call(ResetContext, "polymorph/reset_context").success
    ended()
    labels_are_active()
    robot.send(START_NS - 60 * SECOND_NS)
    robot.send(START_NS - 60 * SECOND_NS + PERIOD_NS)  # a recording that loops
    assert "jumped back by" in robot.contexts[-1].reason
    events = robot.settled()
    assert open_labels(events) == robot.active()
    assert [event.reason for event in events if event.reason] == ["reset"] * 2 * len(robot.active())
    assert peer.call(LoadBundle, "polymorph/load_bundle", path="other").success
    ended()
    assert peer.call(LoadBundle, "polymorph/load_bundle", path="tiny").success
    labels_are_active()
    robot.node.trigger_deactivate()
    ended()
    robot.node.trigger_activate()
    labels_are_active()
    robot.node.trigger_shutdown()
    ended()

    assert reasons == ["reset", "bundle", "deactivated", "deactivated"]


def test_no_data_ends_what_is_active_and_the_next_answer_begins_it(peer: Peer, active_node) -> None:
    robot = Robot(peer, active_node, no_data_timeout=0.5)
    robot.send(START_NS)
    active = robot.active()
    peer.wait_for(lambda: robot.labels[-1].state == LabelArray.STATE_NO_DATA, "NO_DATA")

    events = robot.settled()
    assert open_labels(events) == set()
    assert {event.reason for event in events[len(active) :]} == {"no_data"}
    assert to_ns(events[-1].header.stamp) == START_NS
    robot.send(START_NS + SECOND_NS)
    assert open_labels(robot.events) >= active or peer.wait_for(
        lambda: open_labels(robot.events) >= active, "the labels again"
    )


def test_events_that_are_switched_off_end_what_is_active(peer: Peer, active_node) -> None:
    from rclpy.parameter import Parameter

    robot = Robot(peer, active_node)
    robot.send(START_NS)

    assert robot.node.set_parameters([Parameter("publish.events", value=False)])[0].successful
    robot.send(START_NS + PERIOD_NS)
    events = robot.settled()
    assert open_labels(events) == set()
    assert events[-1].reason == "switched_off"
    assert robot.node.set_parameters([Parameter("publish.events", value=True)])[0].successful
    robot.send(START_NS + 2 * PERIOD_NS)

    assert open_labels(robot.settled()) == robot.active()


def test_each_configure_is_another_incarnation(peer: Peer, active_node) -> None:
    robot = Robot(peer, active_node)
    log = EventLog("camera")
    robot.send(START_NS)
    robot.node.trigger_deactivate()
    robot.node.trigger_cleanup()
    first = robot.settled()

    robot.node.trigger_configure()
    robot.node.trigger_activate()
    peer.wait_for(lambda: robot._images.get_subscription_count(), "the node's subscription")
    peer.wait_for(lambda: peer.node.count_publishers("polymorph/context"), "the node's topics")
    peer.spin_for(1.0)
    robot.send(START_NS + SECOND_NS)
    second = robot.settled()[len(first) :]

    assert first[0].incarnation != second[0].incarnation
    assert second[0].sequence == 1
    for event in first + second:
        log.take(event)
    assert (log.complete, set(log.active)) == (True, robot.active())


@pytest.mark.parametrize("stamp_ns", [0, START_NS])
def test_case_01_stamps_that_never_advance_are_said_and_labels_still_age(
    peer: Peer, active_node, stamp_ns: int
) -> None:
    robot = Robot(peer, active_node)
    answers = []

    def said() -> bool:
        answers.append(robot.send(stamp_ns))
        status = latest_status(robot.reports, "camera camera")
        return bool(status and "stamps stand still" in status.message)

    peer.wait_for(said, "stamps that stand still in diagnostics")

    status = robot.camera_status("stamps stand still")
    assert status.level == DiagnosticStatus.WARN
    assert value_of(status, "clock") == "receipt"
    assert {to_ns(answer.header.stamp) for answer in answers} == {stamp_ns}
    assert open_labels(robot.settled()) == robot.active()
    # Time went on: labels may leave. None does in this picture, so all thresholds go up.
    from rclpy.parameter import Parameter

    robot.node.set_parameters([Parameter("threshold_shift", value=10.0)])
    robot.send(stamp_ns)
    assert open_labels(robot.settled()) == set()


def test_case_03_swapped_neighbours_start_nothing_anew(peer: Peer, active_node) -> None:
    robot = Robot(peer, active_node)
    stamps = [START_NS + number * PERIOD_NS for number in range(60)]
    for number in range(10, 59, 10):
        stamps[number], stamps[number + 1] = stamps[number + 1], stamps[number]

    for stamp_ns in stamps:
        assert to_ns(robot.send(stamp_ns).header.stamp) == stamp_ns

    events = robot.settled()
    assert open_labels(events) == robot.active()
    assert len(events) == len(robot.active()), "each appeared once"
    assert not [context for context in robot.contexts if "anew" in context.reason]
    status = robot.camera_status("")
    assert value_of(status, "clock") == "stamps"
    peer.wait_for(
        lambda: value_of(latest_status(robot.reports, "camera camera"), "late") == "5",
        "five late images",
    )


@pytest.mark.parametrize("seconds", [-1.7e9, -3600.0, 3600.0])
def test_one_outlier_among_stamps_starts_nothing_anew(
    peer: Peer, active_node, seconds: float
) -> None:
    robot = Robot(peer, active_node)
    for number in range(9):
        outlier_ns = round(seconds * SECOND_NS) if number == 5 else 0
        robot.send(START_NS + number * PERIOD_NS + outlier_ns)

    events = robot.settled()
    assert len(events) == len(robot.active())
    assert robot.camera_status("stamps jump").level == DiagnosticStatus.WARN


def test_case_04_stamps_ahead_of_the_nodes_clock_are_said(peer: Peer, active_node) -> None:
    robot = Robot(peer, active_node)

    robot.send(peer.now_ns() + 10 * SECOND_NS)

    status = robot.camera_status("stamps lie ahead of this node's clock by")
    assert status.level == DiagnosticStatus.WARN
    assert value_of(status, "clock") == "stamps"
