"""Pins the planner's view: it answers UNKNOWN with a reason rather than repeat an old answer.

Age counts by the image's stamp and by the steady clock. Left open: real queues and clocks.
"""

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


class Steady:
    """A steady clock that is moved by hand."""

    ns = 3_000_000_000

    def __call__(self) -> int:
        return self.ns


def view(**options: object) -> LabelView:
    view = LabelView("front", max_age_s=0.5, **{"steady_ns": Steady(), **options})
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


@pytest.mark.parametrize("ahead_s", [10.0, 3600.0, 0.2])
def test_case_04_a_stamp_in_the_future_is_unknown_and_says_how_far(ahead_s: float) -> None:
    subject = view()
    subject.take(labels())

    sighting = subject.look("person", 10_000_000_000 - round(ahead_s * 1e9))

    assert sighting.presence is Presence.UNKNOWN
    assert f"stamped {ahead_s:.2f} s in the future" in sighting.reason


def test_clocks_that_agree_to_a_tenth_of_a_second_agree() -> None:
    subject = view()
    subject.take(labels())

    assert subject.look("person", 10_000_000_000 - 99_000_000).presence is Presence.PRESENT


@pytest.mark.parametrize("behind_s", [-10.0, -0.05, 0.0, 0.4])
def test_case_04_without_another_message_all_is_unknown_after_the_greatest_age(
    behind_s: float,
) -> None:
    """Asked each 0.1 s, whatever the planner's clock says: here it stands still or runs."""
    steady = Steady()
    subject = view(steady_ns=steady)
    subject.take(labels())
    start_ns, asked = 10_000_000_000 + round(behind_s * 1e9), []

    for number in range(20):
        steady.ns = Steady.ns + number * 100_000_000
        for now_ns in (start_ns, start_ns + number * 100_000_000):
            asked.append((number, subject.look("person", now_ns).presence))

    assert all(answer is Presence.UNKNOWN for number, answer in asked if number > 5)
    known = {answer for number, answer in asked if number == 0}
    assert known == {Presence.UNKNOWN if behind_s < -0.1 else Presence.PRESENT}


def test_a_message_that_waits_for_long_says_so() -> None:
    steady = Steady()
    subject = view(steady_ns=steady)
    subject.take(labels())

    steady.ns += 700_000_000

    assert subject.look("person", NOW_NS).reason == "the last message came 0.70 s ago"


@pytest.mark.parametrize("sec", [0, -5])
def test_a_zero_or_negative_stamp_is_unknown(sec: int) -> None:
    subject, message = view(), labels()
    message.header.stamp = Time(sec=sec)
    subject.take(message)

    assert subject.look("person", 1_700_000_000_000_000_000).presence is Presence.UNKNOWN
