"""Pins what the example planner decides: it slows for people, holds, resumes, and is careful while
it does not know. The node of it over DDS is pinned by test_live_evaluation.py."""

from __future__ import annotations

import pytest
from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from polymorph_ros.msg import Label, LabelArray, LabelInfo
from polymorph_ros.ros.planner import Presence
from polymorph_ros.ros.slow_for_people import LIMITS, MAX_AGE_S, SpeedPlanner, Vehicle, delays_s

SECOND_NS = 1_000_000_000
FAST, SLOW, CAREFUL = (
    LIMITS[presence] for presence in (Presence.ABSENT, Presence.PRESENT, Presence.UNKNOWN)
)


def labels(second: int, *, person: bool = False, state: int = LabelArray.STATE_FRESH) -> LabelArray:
    return LabelArray(
        header=Header(stamp=Time(sec=second)),
        camera="front",
        state=state,
        reason="no image on /image for 1.0 s" if state == LabelArray.STATE_NO_DATA else "",
        labels=[Label(name="person", score=0.9 if person else 0.1, active=person)],
    )


@pytest.fixture
def planner() -> SpeedPlanner:
    planner = SpeedPlanner("front")
    planner.view.take_info(LabelInfo(labels=["person"]))
    return planner


def test_a_person_slows_it_for_as_long_as_one_is_there(planner: SpeedPlanner) -> None:
    planner.view.take(labels(10, person=True))
    first = planner.decide(10 * SECOND_NS)
    planner.view.take(labels(11, person=True))
    second = planner.decide(11 * SECOND_NS)

    assert (first.limit, first.changed) == (SLOW, True)
    assert (second.limit, second.changed) == (SLOW, False)


def test_it_resumes_when_the_person_has_gone(planner: SpeedPlanner) -> None:
    planner.view.take(labels(10, person=True))
    planner.decide(10 * SECOND_NS)
    planner.view.take(labels(11))

    decision = planner.decide(11 * SECOND_NS)

    assert (decision.limit, decision.changed) == (FAST, True)
    assert str(decision) == "person absent: limit 1.5 m/s"


def test_no_data_is_unknown_with_its_reason_and_no_reason_to_go_fast(planner: SpeedPlanner) -> None:
    planner.view.take(labels(10))
    planner.decide(10 * SECOND_NS)
    planner.view.take(labels(10, state=LabelArray.STATE_NO_DATA))

    decision = planner.decide(10 * SECOND_NS)

    assert decision.sighting.presence is Presence.UNKNOWN
    assert (decision.limit, decision.changed) == (CAREFUL, True)
    assert "no image on /image" in str(decision)


def test_an_unknown_scene_and_silence_are_unknown(planner: SpeedPlanner) -> None:
    planner.view.take(labels(10, state=LabelArray.STATE_UNKNOWN_SCENE))
    assert planner.decide(10 * SECOND_NS).limit == CAREFUL

    planner.view.take(labels(11))
    just_old_enough = 11 * SECOND_NS + round(MAX_AGE_S * SECOND_NS)
    assert planner.decide(just_old_enough).limit == FAST
    assert planner.decide(just_old_enough + 1).limit == CAREFUL


def test_before_the_first_message_it_is_careful() -> None:
    assert SpeedPlanner("front").decide(0).limit == CAREFUL


def test_slow_is_the_slowest_and_doubt_is_slower_than_an_empty_road() -> None:
    assert SLOW < CAREFUL < FAST


def test_the_vehicle_brakes_harder_than_it_speeds_up() -> None:
    vehicle = Vehicle()

    vehicle.drive(FAST, 1.0)
    assert vehicle.speed == pytest.approx(0.5)
    vehicle.drive(FAST, 10.0)
    assert vehicle.speed == FAST
    vehicle.drive(SLOW, 1.0)
    assert vehicle.speed == pytest.approx(FAST - 1.0)


def test_delays_are_read_from_the_lines_of_commands_that_followed_an_image() -> None:
    log = "person absent: limit 1.5 m/s, vehicle at 0.00 m/s, 12.5 ms after the image\nother\n"

    assert delays_s(log) == [0.0125]
    assert delays_s("person unknown: limit 0.5 m/s, vehicle at 0.00 m/s") == []
