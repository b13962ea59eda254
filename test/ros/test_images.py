"""Pins the way of images through DDS: what comes in comes out with its own stamp and frame_id,
whatever its encoding and size; a malformed image is counted by reason and the next is answered."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from helpers.ros_peer import Peer, latest_status, picture, value_of
from polymorph_ros.interfaces.stamps import to_ns
from polymorph_ros.msg import ContextState, EnergyReport, LabelArray, LabelEvent
from polymorph_ros.ros.decoder_output import decoder_output
from polymorph_ros.ros.harness.images import image_message
from polymorph_ros.ros.stamps import to_stamp

WHOLE_SECONDS = 1_700_000_000_000_000_000


def answer_to(peer: Peer, publisher, heard: list[LabelArray], message: Image) -> LabelArray:
    """Publishes an image and waits for the labels with its stamp."""
    publisher.publish(message)

    def found() -> LabelArray | None:
        return next((m for m in heard if m.header.stamp == message.header.stamp), None)

    return peer.wait_for(found, f"an answer to {message.header.stamp}")


def test_every_topic_carries_the_cameras_own_stamp_and_frame(peer: Peer, active_node) -> None:
    active_node()
    topics = {
        "labels": LabelArray, "events": LabelEvent, "context": ContextState, "energy": EnergyReport
    }  # fmt: skip
    heard = {name: peer.listen(kind, f"polymorph/{name}") for name, kind in topics.items()}
    images = peer.images("image")
    stamp_ns = WHOLE_SECONDS + 123_456_789  # a float of seconds would lose the last digits

    images.publish(image_message(picture(), stamp_ns=stamp_ns, frame_id="left_optical"))
    peer.wait_for(lambda: all(heard.values()), "a message on every topic")

    for name, messages in heard.items():
        header = messages[0].header
        assert (to_ns(header.stamp), header.frame_id) == (stamp_ns, "left_optical"), name
        assert messages[0].camera == "camera"


def test_labels_are_complete_and_their_scores_are_probabilities(peer: Peer, active_node) -> None:
    active_node()
    heard = peer.listen(LabelArray, "polymorph/labels")

    answer = answer_to(peer, peer.images("image"), heard, image_message(picture()))

    assert answer.state in (LabelArray.STATE_FRESH, LabelArray.STATE_DEGRADED)
    names = [label.name for label in answer.labels]
    assert names == ["person", "desk", "chair", "cup", "car", "tree"]
    assert [label.id for label in answer.labels] == list(range(6))
    for label in answer.labels:
        assert 0.0 <= label.score <= 1.0
        assert label.age == 0.0


COLOURED = picture(height=40, width=56)
GREY = np.repeat(COLOURED[..., :1], 3, axis=2)
ALPHA = np.full((40, 56, 1), 77, dtype=np.uint8)


@pytest.mark.parametrize(
    ("encoding", "rgb", "encoded"),
    [
        ("bgr8", COLOURED, COLOURED[..., ::-1]),
        ("8UC3", COLOURED, COLOURED[..., ::-1]),
        ("rgba8", COLOURED, np.concatenate([COLOURED, ALPHA], axis=2)),
        ("bgra8", COLOURED, np.concatenate([COLOURED[..., ::-1], ALPHA], axis=2)),
        ("mono8", GREY, GREY[..., :1]),
    ],
)
def test_the_same_scene_gives_the_same_scores_in_every_encoding(
    peer: Peer, active_node, encoding: str, rgb: np.ndarray, encoded: np.ndarray
) -> None:
    node = active_node()
    heard = peer.listen(LabelArray, "polymorph/labels")
    images = peer.images("image")
    expected = answer_to(peer, images, heard, image_message(rgb, stamp_ns=2))
    expected_scores = [label.score for label in expected.labels]

    node._session.reset("").result()  # so that the histories are alike
    message = image_message(np.ascontiguousarray(encoded), stamp_ns=1, encoding=encoding)
    answer = answer_to(peer, images, heard, message)

    assert [label.score for label in answer.labels] == pytest.approx(expected_scores, abs=1e-6)


def test_sizes_may_change_while_it_runs(peer: Peer, active_node) -> None:
    active_node()
    heard = peer.listen(LabelArray, "polymorph/labels")
    images = peer.images("image")

    for number, (height, width) in enumerate([(48, 64), (480, 640), (1, 1), (33, 7), (1080, 1920)]):
        message = image_message(picture(number, height, width), stamp_ns=number + 1)
        assert answer_to(peer, images, heard, message).state != LabelArray.STATE_NO_DATA


def test_padded_rows_are_read_as_their_step_says(peer: Peer, active_node) -> None:
    node = active_node()
    heard = peer.listen(LabelArray, "polymorph/labels")
    images = peer.images("image")
    image = picture()
    plain = image_message(image, stamp_ns=2)
    padded = image_message(image, stamp_ns=1)
    padded.step = plain.step + 16
    padded.data = np.pad(image.reshape(48, -1), ((0, 0), (0, 16)), constant_values=255).tobytes()

    expected = [label.score for label in answer_to(peer, images, heard, plain).labels]
    node._session.reset("").result()  # so that the histories are alike
    found = [label.score for label in answer_to(peer, images, heard, padded).labels]

    assert found == pytest.approx(expected, abs=1e-6)


def test_compressed_images_are_answered(peer: Peer, active_node) -> None:
    active_node(image_transport="compressed")
    heard = peer.listen(LabelArray, "polymorph/labels")
    images = peer.images("image/compressed", CompressedImage)
    jpeg = cv2.imencode(".jpg", picture())[1].tobytes()
    message = CompressedImage(
        header=Header(stamp=to_stamp(5), frame_id="jpeg_optical"), format="jpeg", data=jpeg
    )

    answer = answer_to(peer, images, heard, message)

    assert answer.state != LabelArray.STATE_NO_DATA
    assert answer.header.frame_id == "jpeg_optical"


def broken(**fields: object) -> Image:
    message = image_message(picture(), stamp_ns=1)
    for name, value in fields.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize(
    "message",
    [
        broken(step=1),
        broken(height=480),
        broken(data=b""),
        broken(width=0, height=0, data=b"", step=0),
        broken(encoding="thermal42"),
        broken(encoding=""),
        broken(encoding="h264"),
        broken(encoding="16UC1"),
    ],
    ids=["step", "size", "no data", "zero size", "encoding", "no encoding", "video", "depth"],
)
def test_a_malformed_image_is_counted_by_reason_and_the_next_is_answered(
    peer: Peer, active_node, message: Image
) -> None:
    active_node()
    heard = peer.listen(LabelArray, "polymorph/labels")
    reports = peer.listen(DiagnosticArray, "/diagnostics")
    images = peer.images("image")

    images.publish(message)
    rejecting = peer.wait_for(
        lambda: (
            (status := latest_status(reports, "camera camera"))
            and value_of(status, "rejected") == "1"
            and status
        ),
        "the rejection in diagnostics",
    )
    answer = answer_to(peer, images, heard, image_message(picture(), stamp_ns=9))

    assert answer.state != LabelArray.STATE_NO_DATA
    assert [item.value for item in rejecting.values if item.key.startswith("rejected.")] == ["1"]
    assert rejecting.message == value_of(rejecting, "last_error") != ""


def test_an_undecodable_jpeg_is_rejected_and_the_next_is_answered(peer: Peer, active_node) -> None:
    active_node(image_transport="compressed")
    heard = peer.listen(LabelArray, "polymorph/labels")
    reports = peer.listen(DiagnosticArray, "/diagnostics")
    images = peer.images("image/compressed", CompressedImage)
    jpeg = cv2.imencode(".jpg", picture())[1].tobytes()

    images.publish(CompressedImage(format="jpeg", data=b"this is not a picture"))
    peer.wait_for(
        lambda: (
            (status := latest_status(reports, "camera camera"))
            and value_of(status, "rejected") == "1"
        ),
        "the rejection in diagnostics",
    )
    good = CompressedImage(header=Header(stamp=to_stamp(9)), format="jpeg", data=jpeg)

    assert answer_to(peer, images, heard, good).state != LabelArray.STATE_NO_DATA


def test_the_decoders_own_lines_are_counted_and_do_not_reach_standard_error(
    peer: Peer, active_node, capfd: pytest.CaptureFixture[str]
) -> None:
    node = active_node(image_transport="compressed")
    heard = peer.listen(LabelArray, "polymorph/labels")
    images = peer.images("image/compressed", CompressedImage)
    jpeg = cv2.imencode(".jpg", picture(0, 240, 320))[1].tobytes()
    scan = jpeg.index(b"\xff\xda") + 100
    damaged = jpeg[:scan] + bytes(40) + jpeg[scan + 40 :]

    images.publish(CompressedImage(header=Header(stamp=to_stamp(5)), format="jpeg", data=damaged))
    counters = node._session.cameras["camera"].counters
    peer.wait_for(lambda: heard or counters.rejected, "an answer or a rejection")

    assert counters.damaged or counters.rejected
    assert "JPEG" not in capfd.readouterr().err.replace("JPEG without", "")


def test_what_others_write_while_a_picture_is_decoded_still_appears(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with decoder_output() as lines:
        os.write(2, b"Corrupt JPEG data: bad Huffman code\n[INFO] a line of the log\n")

    assert lines == [b"Corrupt JPEG data: bad Huffman code\n"]
    assert capfd.readouterr().err == "[INFO] a line of the log\n"
