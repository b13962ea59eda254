"""Pins what a planner knows from events: what is active, and that it notices a lost event."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from std_msgs.msg import Header

from polymorph_ros.msg import Label, LabelArray, LabelEvent
from polymorph_ros.ros.event_log import EventLog

APPEARED, VANISHED = LabelEvent.APPEARED, LabelEvent.VANISHED
NAMES, CAMERAS = ("person", "chair", "car"), ("front", "rear")


def event(
    sequence: int, kind: int, name: str, camera: str = "front", incarnation: str = "a"
) -> LabelEvent:
    return LabelEvent(
        camera=camera,
        kind=kind,
        name=name,
        sequence=sequence,
        incarnation=incarnation,
        first_stamp=Time(sec=5),
    )


def log_of(*events: LabelEvent) -> EventLog:
    log = EventLog("front")
    for each in events:
        log.take(each)
    return log


def test_labels_are_active_from_appeared_to_vanished() -> None:
    log = log_of(event(1, APPEARED, "person"), event(2, APPEARED, "car"))
    assert dict(log.active) == {"person": 5 * 10**9, "car": 5 * 10**9}

    log.take(event(3, VANISHED, "person"))

    assert (set(log.active), log.complete, log.missed) == ({"car"}, True, 0)


def test_numbers_of_other_cameras_count_their_labels_do_not() -> None:
    log = log_of(event(1, APPEARED, "car", "rear"), event(2, APPEARED, "person"))

    assert (set(log.active), log.complete) == ({"person"}, True)


def test_a_planner_that_comes_late_knows_nothing_until_labels_come() -> None:
    log = log_of(event(8, APPEARED, "car"))
    assert (log.complete, log.missed) == (False, 7)

    log.take_labels(
        LabelArray(
            header=Header(stamp=Time(sec=7)),
            camera="front",
            labels=[Label(name="person", active=True), Label(name="car", active=False)],
        )
    )

    assert (log.complete, dict(log.active)) == (True, {"person": 7 * 10**9})


def test_a_node_that_was_configured_again_starts_anew() -> None:
    log = log_of(event(1, APPEARED, "person"), event(1, APPEARED, "car", incarnation="b"))

    assert (set(log.active), log.complete, log.missed) == ({"car"}, True, 0)


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(CAMERAS)), max_size=30),
    st.sets(st.integers(1, 30)),
)
def test_a_log_that_calls_itself_complete_is_right(flips, lost) -> None:
    log, truth = EventLog("front"), {camera: set() for camera in CAMERAS}

    for sequence, (name, camera) in enumerate(flips, start=1):
        kind = VANISHED if name in truth[camera] else APPEARED
        truth[camera] ^= {name}
        if sequence in lost:
            continue
        log.take(event(sequence, kind, name, camera))
        earlier = {number for number in lost if number < sequence}
        assert log.complete == (not earlier)
        assert log.missed == len(earlier)
        if log.complete:
            assert set(log.active) == truth["front"]
