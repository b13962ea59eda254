"""Pins several cameras in one node: each has its own topic, belief and counters, and frames that
come faster than they are answered are dropped and counted, the freshest being answered."""

from __future__ import annotations

import resource
import struct
import threading
import time

import cv2
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from helpers.ros_peer import Peer, latest_status, picture, value_of
from polymorph_ros.interfaces.stamps import to_ns
from polymorph_ros.msg import LabelArray
from polymorph_ros.ros.harness.images import image_message
from polymorph_ros.ros.stamps import to_stamp


def test_each_camera_is_answered_under_its_own_name(peer: Peer, active_node) -> None:
    active_node(cameras=["left", "right"])
    heard = peer.listen(LabelArray, "polymorph/labels")
    left, right = peer.images("left/image"), peer.images("right/image")

    left.publish(image_message(picture(1), stamp_ns=10, frame_id="left_optical"))
    right.publish(image_message(picture(2), stamp_ns=20, frame_id="right_optical"))
    peer.wait_for(lambda: {m.camera for m in heard} >= {"left", "right"}, "both answers")

    answers = {m.camera: (to_ns(m.header.stamp), m.header.frame_id) for m in heard}
    assert answers == {"left": (10, "left_optical"), "right": (20, "right_optical")}


def test_a_silent_camera_is_told_beside_one_that_is_answered(peer: Peer, active_node) -> None:
    active_node(cameras=["left", "right"], no_data_timeout=0.3)
    heard = peer.listen(LabelArray, "polymorph/labels")
    left = peer.images("left/image")

    def both() -> bool:
        return {(m.camera, m.state != LabelArray.STATE_NO_DATA) for m in heard} >= {
            ("left", True), ("right", False)
        }  # fmt: skip

    with peer.camera(left):
        peer.wait_for(both, "answers of the left and NO_DATA of the right camera")
    assert all(m.camera == "left" for m in heard if m.state != LabelArray.STATE_NO_DATA)


def test_the_freshest_frame_wins_and_every_frame_is_in_one_account(peer: Peer, active_node) -> None:
    node = active_node(cameras=["left", "right"], no_data_timeout=60.0)
    heard = peer.listen(LabelArray, "polymorph/labels")
    reports = peer.listen(DiagnosticArray, "/diagnostics")
    publishers = {name: peer.images(f"{name}/image") for name in ("left", "right")}
    worker_is_held, release = threading.Event(), threading.Event()

    def hold() -> None:
        worker_is_held.set()
        release.wait(20.0)

    node._session._worker.between_frames(hold)
    assert worker_is_held.wait(20.0)
    for stamp in range(1, 6):
        for publisher in publishers.values():
            publisher.publish(image_message(picture(), stamp_ns=stamp))

    def received() -> bool:
        return all(camera.counters.received == 5 for camera in node._session.cameras.values())

    peer.wait_for(received, "five frames of each camera, while no frame is being answered")
    release.set()
    peer.wait_for(lambda: len(heard) == 2, "one answer of each camera")

    assert {(m.camera, to_ns(m.header.stamp)) for m in heard} == {("left", 5), ("right", 5)}
    for name in publishers:
        status = peer.wait_for(
            lambda name=name: (
                (found := latest_status(reports, f"camera {name}"))
                and value_of(found, "answered") == "1"
                and found
            ),
            "the counters in diagnostics",
        )
        figures = {item.key: item.value for item in status.values}
        assert (figures["received"], figures["answered"], figures["dropped"]) == ("5", "1", "4")


def test_a_frame_that_waits_when_the_gate_closes_is_dropped_not_forgotten(
    peer: Peer, active_node
) -> None:
    node = active_node(max_rate_hz=1.5)
    session = node._session
    images = peer.images("image")
    counters = session.cameras["camera"].counters

    def one_waits() -> bool:
        return counters.answered >= 1 and counters.received > counters.answered + counters.dropped

    with peer.camera(images):
        peer.wait_for(one_waits, "a frame that waits for its turn")
    node.trigger_deactivate()

    assert counters.received == counters.answered + counters.dropped


def test_the_rate_limit_is_kept(peer: Peer, active_node) -> None:
    active_node(max_rate_hz=4.0)
    heard = peer.listen(LabelArray, "polymorph/labels")
    images = peer.images("image")
    start = time.monotonic()

    def six_answers() -> bool:
        return len([m for m in heard if m.state != LabelArray.STATE_NO_DATA]) >= 6

    with peer.camera(images):
        peer.wait_for(six_answers, "six answers")

    assert time.monotonic() - start >= 5 / 4.0, "five intervals of at least a quarter second"


def huge_claim(side: int) -> bytes:
    """A small JPEG whose header claims a picture of `side` x `side` pixels."""
    jpeg = bytearray(cv2.imencode(".jpg", picture())[1].tobytes())
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", side, side)
    return bytes(jpeg)


def test_an_image_that_claims_to_be_huge_is_rejected_and_the_other_camera_is_answered(
    peer: Peer, active_node
) -> None:
    active_node(cameras=["left", "right"], image_transport="compressed")
    heard = peer.listen(LabelArray, "polymorph/labels")
    reports = peer.listen(DiagnosticArray, "/diagnostics")
    left = peer.images("left/image/compressed", CompressedImage)
    right = peer.images("right/image/compressed", CompressedImage)
    jpeg = cv2.imencode(".jpg", picture())[1].tobytes()
    right.publish(CompressedImage(header=Header(stamp=to_stamp(1)), format="jpeg", data=jpeg))
    peer.wait_for(lambda: heard, "a first answer")
    most_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def rejected() -> bool:
        left.publish(CompressedImage(format="jpeg", data=huge_claim(32_000)))
        status = latest_status(reports, "camera left")
        return any(pair.key == "rejected.size" for pair in status.values) if status else False

    peer.wait_for(rejected, "the rejection in diagnostics")
    right.publish(CompressedImage(header=Header(stamp=to_stamp(2)), format="jpeg", data=jpeg))
    peer.wait_for(lambda: any(m.header.stamp.nanosec == 2 for m in heard), "the other's answer")

    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most_kib
    assert grown_kib < 200 * 1024, "the picture would take 3 GB"


def test_the_largest_image_is_a_live_parameter(peer: Peer, active_node) -> None:
    node = active_node(max_image_megapixels=0.01)
    counters = node._session.cameras["camera"].counters
    heard = peer.listen(LabelArray, "polymorph/labels")
    images = peer.images("image")

    images.publish(image_message(picture(0, 120, 160), stamp_ns=1))
    peer.wait_for(lambda: counters.rejected["size"], "a rejection")
    assert node.set_parameters([Parameter("max_image_megapixels", value=0.02)])[0].successful
    images.publish(image_message(picture(0, 120, 160), stamp_ns=2))

    peer.wait_for(lambda: any(m.header.stamp.nanosec == 2 for m in heard), "an answer")
