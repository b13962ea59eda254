"""Pins `~/debug_image`: published only while somebody subscribes, with the camera's own header,
framed in the colour of its state, and never wider than a robot's network likes. That it is
readable was judged by eye, at 320 and 640 pixels."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import Image

from helpers.ros_peer import Peer, picture
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.interfaces.enumerations import ResultState
from polymorph_ros.interfaces.stamps import to_ns
from polymorph_ros.msg import LabelArray
from polymorph_ros.ros.debug_picture import STATE_COLOURS, draw, draw_no_data, plain
from polymorph_ros.ros.harness.images import image_message
from polymorph_ros.runtime.result import Cover, FrameEnergy, FrameResult

NAMES = ("person", "Tür", "椅子", "a name that is far too long for any bar beside it", "")


def result_of(**changes: Any) -> FrameResult:
    count = len(NAMES)
    fields: dict[str, Any] = {
        "camera": "front", "stamp_ns": 1, "vocabulary": NAMES, "context_names": ("a", "b"),
        "score_array": np.linspace(1.0, 0.0, count, dtype=np.float32),
        "sources": np.full(count, 2, np.uint8), "ages_s": np.zeros(count, np.float32),
        "active_indices": (0, 1), "changes": (), "cover": Cover((0, 1), True, "first frame"),
        "stage_seconds": {"trunk": 0.01}, "state": ResultState.FRESH, "reason": "",
        "energy": FrameEnergy(0.2, 6.0, 12.0, 40, EnergySource.ESTIMATED), **changes,
    }  # fmt: skip
    return FrameResult(**fields)


def pixels(message: Image) -> np.ndarray:
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)


def test_a_subscriber_sees_the_picture_with_its_own_header(peer: Peer, active_node) -> None:
    active_node()
    seen = peer.listen(Image, "polymorph/debug_image")
    images = peer.images("image")

    images.publish(image_message(picture(), stamp_ns=7, frame_id="left_optical"))
    peer.wait_for(lambda: seen, "a debug image")

    assert (to_ns(seen[0].header.stamp), seen[0].header.frame_id) == (7, "left_optical")
    assert (seen[0].encoding, seen[0].width, seen[0].height) == ("rgb8", 320, 240)
    assert tuple(pixels(seen[0])[0, 0]) == STATE_COLOURS[ResultState.FRESH]


def test_nothing_is_drawn_where_nobody_looks(
    peer: Peer, active_node, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[object] = []
    monkeypatch.setattr("polymorph_ros.ros.debug_image.draw", lambda *args: drawn.append(args))
    active_node()
    heard = peer.listen(LabelArray, "polymorph/labels")

    peer.images("image").publish(image_message(picture()))
    peer.wait_for(lambda: heard, "labels")
    peer.spin_for(0.2)

    assert drawn == []


def test_labels_do_not_wait_for_a_drawing(
    peer: Peer, active_node, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = threading.Event()

    def slow(shown: np.ndarray, _result: FrameResult) -> np.ndarray:
        finished.wait(30.0)
        return shown

    monkeypatch.setattr("polymorph_ros.ros.debug_image.draw", slow)
    active_node()
    peer.listen(Image, "polymorph/debug_image")
    heard = peer.listen(LabelArray, "polymorph/labels")
    images = peer.images("image")

    for stamp in (1, 2, 3):
        images.publish(image_message(picture(), stamp_ns=stamp))
        peer.wait_for(lambda stamp=stamp: len(heard) == stamp, "labels while one is drawn")

    finished.set()


def test_no_data_is_shown_in_its_colour(peer: Peer, active_node) -> None:
    active_node(no_data_timeout=0.2)
    seen = peer.listen(Image, "polymorph/debug_image")

    peer.wait_for(lambda: seen, "a debug image without any picture")

    assert tuple(pixels(seen[0])[0, 0]) == STATE_COLOURS[ResultState.NO_DATA]


def test_several_cameras_have_a_topic_each(peer: Peer, active_node) -> None:
    active_node(cameras=["left", "right"])
    seen = peer.listen(Image, "polymorph/left/debug_image")
    other = peer.listen(Image, "polymorph/right/debug_image")

    peer.images("left/image").publish(image_message(picture()))
    peer.wait_for(lambda: seen, "a debug image of the left camera")

    assert other == []


def test_case_44_somebody_who_looks_wakes_a_lazy_node(peer: Peer, active_node) -> None:
    active_node(lazy=True)
    seen = peer.listen(Image, "polymorph/debug_image")

    with peer.camera(peer.images("image")):
        peer.wait_for(lambda: seen, "a debug image")


@pytest.mark.parametrize("state", ResultState)
def test_the_state_is_the_frames_colour(state: ResultState) -> None:
    drawn = draw(picture(0, 240, 320), result_of(state=state, reason="some reason"))

    for row, column in ((0, 0), (-1, -1), (120, 0), (0, 160), (120, -1)):
        assert tuple(drawn[row, column]) == STATE_COLOURS[state]


def test_a_longer_bar_means_a_higher_score() -> None:
    grey = np.full((240, 320, 3), 128, np.uint8)
    green = np.array(STATE_COLOURS[ResultState.FRESH])
    inside = (slice(10, 150), slice(10, 310))

    def length(score: float) -> int:
        scores = np.array([score, 0, 0, 0, 0], np.float32)
        state = {"state": ResultState.REUSED, "score_array": scores, "active_indices": (0,)}
        return int((draw(grey, result_of(**state))[inside] == green).all(axis=2).sum())

    assert 0 < length(0.2) < length(0.6) < length(1.0)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 2000), width=st.integers(1, 2000), joules=st.floats(allow_nan=True),
    reason=st.text(max_size=200), active=st.sets(st.integers(0, 4)),
)  # fmt: skip
def test_any_picture_and_result_can_be_drawn(height, width, joules, reason, active) -> None:
    shown = np.broadcast_to(np.uint8(90), (height, width, 3))
    energy = FrameEnergy(joules, 6.0, 12.0, 40, EnergySource.ESTIMATED)

    for drawn in (
        draw(shown, result_of(reason=reason, energy=energy, active_indices=tuple(sorted(active)))),
        draw_no_data((height, width), reason),
    ):
        assert drawn.dtype == np.uint8
        assert 320 <= drawn.shape[1] <= 640
        assert 180 <= drawn.shape[0] <= 640
    assert (shown == 90).all()


def test_text_is_made_of_letters_that_can_be_drawn() -> None:
    assert all(" " <= letter <= "~" for letter in plain("Tür ➜ 椅子 \n\t\x00"))
