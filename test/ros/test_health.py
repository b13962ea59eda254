"""Pins how a camera's health is judged, as a table of situations, and when NO_DATA is due. That the
node judges so is pinned in test_silence.py and test_diagnostics.py."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymorph_ros.ros.health import Level, Situation, due_s, judge

# Opened at 100 s, with an image and its answer a moment ago.
WELL = Situation(
    topic="/image", timeout_s=1.0, now_s=200.0, opened_s=100.0, arrival_s=199.9, answer_s=199.95,
    received=30, largest_bytes=20_000,
)  # fmt: skip
NEVER = replace(WELL, arrival_s=None, answer_s=None, received=0, largest_bytes=0)
SILENT = replace(WELL, arrival_s=190.0, answer_s=190.02, received=0)
NO_PUBLISHER = "no publisher on /image (sensor_msgs/msg/Image)"
SLOW_CAMERA = replace(WELL, timeout_s=3.0, arrival_s=198.0, answer_s=198.1, received=1)

OK, WARN, ERROR = Level.OK, Level.WARN, Level.ERROR

SITUATIONS = {
    "inactive": (replace(WELL, opened_s=None), OK, "inactive"),
    "a stream that is answered": (WELL, OK, "receiving and answering"),
    "just opened, nothing yet": (replace(NEVER, opened_s=199.9), WARN, "no image received"),
    "never an image": (NEVER, WARN, "no image received on /image for 100.0 s"),
    "nobody publishes": (replace(NEVER, obstacle=NO_PUBLISHER), ERROR, NO_PUBLISHER),
    "the first image is in work": (
        replace(NEVER, arrival_s=199.9, waiting_since_s=199.9, received=1), OK, "receiving"
    ),
    "the stream has ended": (SILENT, WARN, "no image on /image for 10.0 s"),
    "the publisher has gone": (replace(SILENT, obstacle=NO_PUBLISHER), ERROR, NO_PUBLISHER),
    "a slow camera between two images": (SLOW_CAMERA, OK, "receiving"),
    "a slow camera that has stopped": (replace(SLOW_CAMERA, now_s=201.2), WARN, "for 3.2 s"),
    "images wait, nothing is answered": (
        replace(WELL, answer_s=190.0, waiting_since_s=190.1), ERROR, "take longer to label"
    ),
    "a slow model, within the timeout": (
        replace(WELL, answer_s=199.2, waiting_since_s=199.25), OK, "receiving"
    ),
    "an image in work as the timeout ends": (
        replace(WELL, answer_s=198.9, arrival_s=199.8, waiting_since_s=199.8), OK, "receiving"
    ),
    "images are rejected": (
        replace(WELL, answer_s=None, unusable=30, fault="encoding"), ERROR, "encoding"
    ),
    "one of many is rejected": (replace(WELL, unusable=1, fault="size"), ERROR, "size"),
    "some are lost": (replace(WELL, lost=10), WARN, "10 of 40 images were lost"),
    "all are lost, none ever came": (replace(NEVER, lost=30), WARN, "30 of 30 images were lost"),
    "all are lost now": (replace(SILENT, lost=30), WARN, "30 of 30 images were lost"),
    "lost, and no publisher any more": (
        replace(SILENT, lost=3, obstacle=NO_PUBLISHER), WARN, "3 of 3 images were lost"
    ),
    "slow, and some are lost": (
        replace(WELL, answer_s=190.0, waiting_since_s=190.1, lost=9), ERROR, "take longer to label"
    ),
    "stamps stand still": (replace(WELL, stamps="stamps stand still"), WARN, "stand still"),
    "lazy": (replace(SILENT, asleep=True), OK, "nobody subscribes"),
    "scores that are not finite": (replace(WELL, rejected_scores=8), WARN, "8 score(s)"),
}  # fmt: skip


@pytest.mark.parametrize("name", SITUATIONS)
def test_each_situation_has_one_judgement(name: str) -> None:
    situation, level, words = SITUATIONS[name]

    health = judge(situation)

    assert (health.level, words in health.reason) == (level, True), health


def test_no_data_says_that_images_come_though_they_cannot_be_used() -> None:
    health = judge(replace(WELL, unusable=1, fault="size"))

    assert health.reason == "size"
    assert health.no_data == "images are received but cannot be used: size"


@pytest.mark.parametrize(
    ("largest_bytes", "advised"), [(0, True), (20_000, False), (921_600, True)]
)
def test_the_remedy_for_large_images_is_named_where_they_may_be_large(
    largest_bytes: int, advised: bool
) -> None:
    health = judge(replace(WELL, lost=1, largest_bytes=largest_bytes))

    assert ("fastdds_large_images.xml" in health.reason) is advised


def test_no_data_is_due_a_timeout_after_the_last_message() -> None:
    assert due_s(10.0, None, 0.5) == 10.5


def test_an_image_that_waits_has_the_timeout_for_itself() -> None:
    assert due_s(10.0, 10.4, 0.5) == 10.9


def test_an_image_that_waited_before_the_last_message_has_no_more() -> None:
    assert due_s(10.0, 9.0, 0.5) == 10.5


TIMES = st.floats(0.0, 1e6)


@given(TIMES, st.none() | TIMES, st.floats(0.01, 3600.0))
def test_silence_is_never_longer_than_the_timeout_beyond_the_last_that_happened(
    since_s: float, waiting_since_s: float | None, timeout_s: float
) -> None:
    due = due_s(since_s, waiting_since_s, timeout_s)

    assert due >= since_s + timeout_s
    assert due <= max(since_s, waiting_since_s or 0.0) + timeout_s


@given(
    st.builds(
        Situation,
        topic=st.just("/image"),
        timeout_s=st.floats(0.01, 10.0),
        now_s=st.just(200.0),
        opened_s=st.just(100.0),
        arrival_s=st.none() | st.floats(100.0, 200.0),
        answer_s=st.none() | st.floats(100.0, 200.0),
        waiting_since_s=st.none(),
        received=st.integers(0, 9),
        unusable=st.integers(0, 3),
        lost=st.integers(0, 3),
        rejected_scores=st.integers(0, 3),
        fault=st.text(),
        obstacle=st.text(),
    )
)
def test_nothing_is_ok_that_is_silent(situation: Situation) -> None:
    health = judge(situation)

    assert health.no_data.endswith(health.reason)
    if situation.silent:
        assert health.level > Level.OK
