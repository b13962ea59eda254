"""Pins that silence is never an answer: NO_DATA comes by a steady clock, also when /clock stands
still, with the last frame's header, and an error in one frame is told and does not end the node."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from helpers.ros_peer import Peer, latest_status, picture, value_of
from polymorph_ros.interfaces.stamps import to_ns
from polymorph_ros.msg import LabelArray
from polymorph_ros.ros.harness.images import image_message

NO_DATA, FRESH = LabelArray.STATE_NO_DATA, LabelArray.STATE_FRESH


def test_silence_is_told_again_and_again_with_an_empty_stamp_before_any_image(
    peer: Peer, active_node
) -> None:
    active_node(no_data_timeout=0.2)
    heard = peer.listen(LabelArray, "polymorph/labels")

    peer.wait_for(lambda: len(heard) >= 3, "three NO_DATA messages")

    for message in heard:
        assert (message.state, to_ns(message.header.stamp), message.camera) == (
            NO_DATA, 0, "camera"
        )  # fmt: skip
        assert list(message.labels) == []
        assert "no image received on /image" in message.reason


def test_silence_after_an_image_carries_that_images_header(peer: Peer, active_node) -> None:
    active_node(no_data_timeout=0.3)
    heard = peer.listen(LabelArray, "polymorph/labels")
    images = peer.images("image")
    images.publish(image_message(picture(), stamp_ns=4_000_000_005, frame_id="left"))
    peer.wait_for(lambda: any(m.state != NO_DATA for m in heard), "an answer")
    heard.clear()

    peer.wait_for(lambda: heard, "NO_DATA")

    assert heard[0].state == NO_DATA
    assert (to_ns(heard[0].header.stamp), heard[0].header.frame_id) == (4_000_000_005, "left")
    assert "no image on /image for" in heard[0].reason


def test_silence_is_told_while_the_simulated_clock_stands_still(peer: Peer, active_node) -> None:
    node = active_node(no_data_timeout=0.2, use_sim_time=True)
    heard = peer.listen(LabelArray, "polymorph/labels")
    reports = peer.listen(DiagnosticArray, "/diagnostics")

    peer.wait_for(lambda: len(heard) >= 2 and reports, "NO_DATA and diagnostics")

    assert node.get_clock().now().nanoseconds == 0
    assert {message.state for message in heard} == {NO_DATA}


def test_images_are_answered_while_the_simulated_clock_stands_still(
    peer: Peer, active_node
) -> None:
    active_node(use_sim_time=True)
    heard = peer.listen(LabelArray, "polymorph/labels")
    images = peer.images("image")

    images.publish(image_message(picture(), stamp_ns=77))

    peer.wait_for(lambda: any(to_ns(m.header.stamp) == 77 for m in heard), "an answer")


def test_a_steady_stream_is_never_called_silent(peer: Peer, active_node) -> None:
    active_node(no_data_timeout=1.0)
    heard = peer.listen(LabelArray, "polymorph/labels")
    images = peer.images("image")
    heard.clear()

    end, stamp = time.monotonic() + 2.5, 0
    while time.monotonic() < end:
        stamp += 1
        images.publish(image_message(picture(), stamp_ns=stamp))
        peer.spin_for(0.1)

    assert len(heard) > 10
    assert all(message.state != NO_DATA for message in heard)


def test_rejected_images_are_no_answer_and_the_reason_is_told(peer: Peer, active_node) -> None:
    active_node(no_data_timeout=0.3)
    heard = peer.listen(LabelArray, "polymorph/labels")
    images = peer.images("image")

    def told() -> bool:
        images.publish(image_message(picture(), stamp_ns=3, encoding="thermal42"))
        return any("thermal42" in message.reason for message in heard)

    peer.wait_for(told, "NO_DATA that names the encoding")
    assert {message.state for message in heard} == {NO_DATA}


def test_an_error_in_the_engine_is_told_for_its_frame_and_the_next_is_answered(
    peer: Peer, active_node
) -> None:
    node = active_node()
    heard = peer.listen(LabelArray, "polymorph/labels")
    reports = peer.listen(DiagnosticArray, "/diagnostics")
    images = peer.images("image")
    weight = node._session.loaded.model._scout.hidden.weight
    good = weight.data
    weight.data = good[:, :1]  # shapes that do not fit, as after damage in memory

    images.publish(image_message(picture(), stamp_ns=5, frame_id="left"))
    peer.wait_for(lambda: any("engine failed" in m.reason for m in heard), "NO_DATA of the frame")
    weight.data = good
    images.publish(image_message(picture(), stamp_ns=6))
    peer.wait_for(lambda: any(to_ns(m.header.stamp) == 6 for m in heard), "the next answer")

    failed = next(m for m in heard if "engine failed" in m.reason)
    assert (failed.state, to_ns(failed.header.stamp), failed.header.frame_id) == (
        NO_DATA, 5, "left"
    )  # fmt: skip
    assert next(m for m in heard if to_ns(m.header.stamp) == 6).state != NO_DATA
    peer.wait_for(
        lambda: (
            (status := latest_status(reports, "camera camera"))
            and value_of(status, "failed") == "1"
        ),
        "the failure in diagnostics",
    )


@pytest.mark.parametrize("timeout", [0.2, 0.5])
def test_the_timeout_changes_while_it_runs(peer: Peer, active_node, timeout: float) -> None:
    from rclpy.parameter import Parameter

    node = active_node(no_data_timeout=60.0)
    heard = peer.listen(LabelArray, "polymorph/labels")
    peer.spin_for(0.3)
    assert heard == []

    assert node.set_parameters([Parameter("no_data_timeout", value=timeout)])[0].successful

    peer.wait_for(lambda: len(heard) >= 2, "NO_DATA")


def test_no_data_comes_at_the_moment_it_is_due(peer: Peer, active_node) -> None:
    active_node(no_data_timeout=0.3)
    times_s: list[float] = []
    peer.node.create_subscription(
        LabelArray, "polymorph/labels", lambda _: times_s.append(time.monotonic()), 50
    )

    peer.wait_for(lambda: len(times_s) >= 12, "twelve NO_DATA messages")

    between_s = sorted(np.diff(times_s))
    assert between_s[0] > 0.28
    assert between_s[len(between_s) // 2] < 0.32, "the median: single ones wait for the machine"


def test_an_image_in_work_when_the_timeout_ends_is_not_reported_as_silence(
    peer: Peer, active_node
) -> None:
    node = active_node(no_data_timeout=1.0)
    heard = peer.listen(LabelArray, "polymorph/labels")
    images = peer.images("image")
    at_work, go_on = threading.Event(), threading.Event()
    peer.wait_for(lambda: heard, "NO_DATA, from which the timeout is measured")
    heard.clear()
    node._session._worker.between_frames(lambda: at_work.set() or go_on.wait(30.0))
    assert at_work.wait(30.0)

    peer.spin_for(0.6)
    images.publish(image_message(picture(), stamp_ns=9))
    peer.spin_for(0.7)  # 1.3 s after the last message, 0.7 s after the image
    assert heard == []
    go_on.set()

    peer.wait_for(lambda: heard, "the answer")
    assert (heard[0].state, to_ns(heard[0].header.stamp)) == (FRESH, 9)


def test_an_image_that_takes_longer_than_the_timeout_is_told_again_and_again(
    peer: Peer, active_node
) -> None:
    node = active_node(no_data_timeout=0.3)
    heard = peer.listen(LabelArray, "polymorph/labels")
    reports = peer.listen(DiagnosticArray, "/diagnostics")
    images = peer.images("image")
    go_on = threading.Event()
    node._session._worker.between_frames(lambda: go_on.wait(60.0))
    images.publish(image_message(picture(), stamp_ns=9))

    def told() -> bool:
        return len([m for m in heard if "take longer to label" in m.reason]) >= 3

    peer.wait_for(told, "three NO_DATA messages with the reason")
    peer.wait_for(
        lambda: (
            (status := latest_status(reports, "camera camera"))
            and "take longer to label" in status.message
            and status.level == DiagnosticStatus.ERROR
        ),
        "the same judgement in diagnostics",
    )
    go_on.set()
    peer.wait_for(lambda: heard[-1].state == FRESH, "the answer")


def test_a_slow_camera_within_the_timeout_stays_ok(peer: Peer, active_node) -> None:
    active_node(no_data_timeout=10.0)
    heard = peer.listen(LabelArray, "polymorph/labels")
    reports = peer.listen(DiagnosticArray, "/diagnostics")
    peer.images("image").publish(image_message(picture(), stamp_ns=9))
    peer.wait_for(lambda: heard, "the answer")
    reports.clear()

    peer.wait_for(lambda: len(reports) >= 4, "four reports without an image")

    assert {latest_status([report], "camera camera").level for report in reports} == {
        DiagnosticStatus.OK
    }
