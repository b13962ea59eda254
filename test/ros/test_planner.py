"""Pins the planner's view: it answers UNKNOWN with a reason rather than repeat an old answer."""

from __future__ import annotations

import pytest
from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from polymorph_ros.msg import Label, LabelArray, LabelInfo
from polymorph_ros.ros.planner import LabelView, Presence

NOW_NS = 10_200_000_000


def labels(state: int = LabelArray.STATE_FRESH, camera: str = "front", reason: str = ""):
    return LabelArray(
        header=Header(stamp=Time(sec=10)),
        camera=camera,
        state=state,
        reason=reason,
        labels=[
            Label(name="person", score=0.9, active=True),
            Label(name="car", id=1, score=0.1, active=False),
        ],
    )


def view(**options: bool) -> LabelView:
    view = LabelView("front", max_age_s=0.5, **options)
    view.take_info(LabelInfo(labels=["person", "car", "tree"]))
    return view


def test_an_active_label_is_present_and_another_absent() -> None:
    subject = view()
    subject.take(labels())

    assert subject.look("person", NOW_NS).presence is Presence.PRESENT
    assert subject.look("person", NOW_NS).score == pytest.approx(0.9)
    assert subject.look("car", NOW_NS).presence is Presence.ABSENT


def test_a_known_label_that_is_not_listed_is_absent() -> None:
    subject = view()
    subject.take(labels())

    assert subject.look("tree", NOW_NS).presence is Presence.ABSENT


@pytest.mark.parametrize(
    ("message", "now_ns", "label", "reason"),
    [
        (None, NOW_NS, "person", "received yet"),
        (labels(LabelArray.STATE_NO_DATA, reason="no image"), NOW_NS, "person", "no image"),
        (labels(LabelArray.STATE_UNKNOWN_SCENE), NOW_NS, "person", "unlike anything"),
        (labels(), NOW_NS + 10**9, "person", "1.20 s old"),
        (labels(), NOW_NS, "unicorn", "not in the vocabulary"),
        (labels(camera="rear"), NOW_NS, "person", "received yet"),
    ],
)
def test_doubt_is_unknown_with_a_reason(
    message: LabelArray | None, now_ns: int, label: str, reason: str
) -> None:
    subject = view()
    if message is not None:
        subject.take(message)

    sighting = subject.look(label, now_ns)

    assert sighting.presence is Presence.UNKNOWN
    assert reason in sighting.reason


def test_unknown_scenes_count_for_those_who_choose_so() -> None:
    subject = view(trust_unknown_scenes=True)
    subject.take(labels(LabelArray.STATE_UNKNOWN_SCENE))

    assert subject.look("person", NOW_NS).presence is Presence.PRESENT


def test_a_reused_result_counts_by_its_own_image() -> None:
    subject = view()
    subject.take(labels(LabelArray.STATE_REUSED))

    assert subject.look("person", NOW_NS).presence is Presence.PRESENT
    assert subject.look("person", NOW_NS + 10**9).presence is Presence.UNKNOWN


def test_no_data_after_a_sighting_ends_it() -> None:
    subject = view()
    subject.take(labels())
    subject.take(labels(LabelArray.STATE_NO_DATA, reason="no image"))

    assert subject.look("person", NOW_NS).presence is Presence.UNKNOWN
