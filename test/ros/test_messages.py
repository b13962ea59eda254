"""Pins the way from engine results to messages: stamps exact, labels in vocabulary order, the
reused message carries nothing over from the last frame."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header

from polymorph_ros.energy.reading import EnergySource, FrameEnergy
from polymorph_ros.interfaces.enumerations import EndReason, ResultState
from polymorph_ros.interfaces.stamps import to_ns
from polymorph_ros.msg import EnergyReport, Label, LabelArray, LabelEvent
from polymorph_ros.ros import messages
from polymorph_ros.ros.stamps import latency_s, to_stamp
from polymorph_ros.runtime.label_events import LabelEvents
from polymorph_ros.runtime.result import Cover, FrameResult
from polymorph_ros.runtime.unknown_scene import NOT_JUDGED, SceneNovelty

LABELS = ("person", "desk", "car")
KNOWN = SceneNovelty(novelty=0.25, trust=1.0)
HEADER = Header(stamp=Time(sec=7, nanosec=8), frame_id="camera_optical")


def result(
    scores: tuple[float, ...] = (0.9, 0.2, 0.6),
    active: tuple[int, ...] = (0, 2),
    joules: float = 0.5,
    unknown_scene: SceneNovelty = KNOWN,
) -> FrameResult:
    return FrameResult(
        stamp_ns=7_000_000_008,
        camera="front",
        state=ResultState.DEGRADED,
        reason="at most 1 adapter(s) allowed",
        vocabulary=LABELS,
        context_names=("office", "street"),
        score_array=np.array(scores, dtype=np.float32),
        sources=np.array([2, 1, 1], dtype=np.uint8),
        ages_s=np.array([0.0, 0.0, 0.25], dtype=np.float32),
        active_indices=active,
        changes=(),
        cover=Cover((1,), True, "+street (in play: car)", uncovered=(0,)),
        stage_seconds={"preprocess": 0.001, "trunk": 0.01},
        energy=FrameEnergy(joules, 3.0, 12.0, 4, EnergySource.ESTIMATED),
        unknown_scene=unknown_scene,
    )


@given(st.integers(0, (1 << 31) * 1_000_000_000 - 1))
def test_stamps_survive_the_way_through_nanoseconds(nanoseconds: int) -> None:
    assert to_ns(to_stamp(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(
    ("now_ns", "stamp", "expected"),
    [
        (1_500_000_000, Time(sec=1), 0.5),
        (0, Time(sec=1), None),  # /clock has not started
        (1_500_000_000, Time(), None),  # a camera that does not stamp
        (1_000_000_000, Time(sec=2), None),  # clocks that differ
    ],
)
def test_latency_is_given_only_where_the_clocks_compare(
    now_ns: int, stamp: Time, expected: float | None
) -> None:
    assert latency_s(now_ns, stamp) == expected


def test_every_label_is_listed_with_all_that_is_known_of_it() -> None:
    array = messages.LabelMessage(LABELS).fill(result(), HEADER, active_only=False)

    assert (array.header, array.camera) == (HEADER, "front")
    assert (array.state, array.reason) == (
        LabelArray.STATE_DEGRADED,
        "at most 1 adapter(s) allowed",
    )
    assert [(label.name, label.id) for label in array.labels] == [
        ("person", 0), ("desk", 1), ("car", 2)
    ]  # fmt: skip
    assert [label.active for label in array.labels] == [True, False, True]
    assert [label.source for label in array.labels] == [
        Label.SOURCE_ADAPTER, Label.SOURCE_SCOUT, Label.SOURCE_SCOUT
    ]  # fmt: skip
    assert [label.age for label in array.labels] == [0.0, 0.0, 0.25]
    assert [label.score for label in array.labels] == pytest.approx([0.9, 0.2, 0.6])


def test_only_active_labels_are_listed_where_that_is_asked_for() -> None:
    array = messages.LabelMessage(LABELS).fill(result(), HEADER, active_only=True)

    assert [label.name for label in array.labels] == ["person", "car"]


def test_a_message_that_is_filled_again_holds_nothing_of_the_last_frame() -> None:
    reused = messages.LabelMessage(LABELS)
    reused.fill(result(), HEADER, active_only=False)
    second = result(scores=(0.1, 0.7, 0.2), active=(1,))

    again = reused.fill(second, HEADER, active_only=False)
    fresh = messages.LabelMessage(LABELS).fill(second, HEADER, active_only=False)

    assert again == fresh


def test_the_scene_is_told_with_what_its_scores_count() -> None:
    reused = messages.LabelMessage(LABELS)

    unknown = reused.fill(result(unknown_scene=SceneNovelty(0.75, 0.25)), HEADER, active_only=True)
    assert (unknown.novelty, unknown.trust) == (0.75, 0.25)
    unjudged = reused.fill(result(unknown_scene=NOT_JUDGED), HEADER, active_only=True)
    assert math.isnan(unjudged.novelty)
    assert unjudged.trust == 1.0


def test_where_there_is_no_result_nothing_is_to_be_trusted() -> None:
    message = messages.no_data("front", HEADER, "no image")

    assert message.trust == 0.0
    assert math.isnan(message.novelty)


@pytest.mark.parametrize("active_only", [False, True])
def test_label_messages_survive_serialisation(active_only: bool) -> None:
    array = messages.LabelMessage(LABELS).fill(result(), HEADER, active_only=active_only)

    received = deserialize_message(serialize_message(array), LabelArray)

    assert received == array


def test_events_tell_what_changed_and_since_when() -> None:
    made = LabelEvents()
    later = replace(result(scores=(0.9, 0.1, 0.6), active=(0,)), stamp_ns=9_000_000_001)

    fields = [*made.of(result(active=(1,))), *made.of(later), *made.end("front", EndReason.RESET)]
    events = [messages.label_event(each, HEADER) for each in fields]

    assert [(event.kind, event.name, event.id, event.reason) for event in events] == [
        (LabelEvent.APPEARED, LABELS[1], 1, ""),
        (LabelEvent.APPEARED, LABELS[0], 0, ""),
        (LabelEvent.VANISHED, LABELS[1], 1, ""),
        (LabelEvent.VANISHED, LABELS[0], 0, "reset"),
    ]
    assert [event.score for event in events[1:]] == pytest.approx([0.9, 0.1, 0.9])
    assert [to_ns(event.first_stamp) for event in events] == [
        result().stamp_ns, 9_000_000_001, result().stamp_ns, 9_000_000_001
    ]  # fmt: skip
    assert [event.sequence for event in events] == [1, 2, 3, 4]
    assert {event.incarnation for event in events} == {made.incarnation}


def test_the_context_names_adapters_and_what_they_leave_uncovered() -> None:
    state = messages.context_state(result(), HEADER)

    assert (list(state.adapters), list(state.adapter_ids)) == (["street"], [1])
    assert (state.changed, state.reason) == (True, "+street (in play: car)")
    assert list(state.uncovered) == ["person"]


def test_energy_names_its_source_and_stages() -> None:
    report = messages.energy_report(result(), HEADER)

    assert (report.source, report.joules, report.total_joules) == ("estimated", 0.5, 12.0)
    assert (report.frames, report.adapters_run) == (4, 1)
    assert list(report.stages) == ["preprocess", "trunk"]
    assert list(report.stage_seconds) == pytest.approx([0.001, 0.01])


def test_a_missing_energy_figure_travels_as_nan() -> None:
    report = messages.energy_report(result(joules=math.nan), HEADER)

    received = deserialize_message(serialize_message(report), EnergyReport)

    assert math.isnan(received.joules)


def test_no_data_says_why_and_lists_nothing() -> None:
    array = messages.no_data("front", HEADER, "no image on /image for 1.0 s")

    assert (array.state, array.reason) == (
        LabelArray.STATE_NO_DATA,
        "no image on /image for 1.0 s",
    )
    assert list(array.labels) == []
    assert array.header == HEADER
