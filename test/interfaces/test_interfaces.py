"""Pins the interfaces that need no ROS: stamps, messages for bags, the contract of a live run.

That they are those of the running node is in test/ros/test_interfaces_agree.py.
"""

from __future__ import annotations

import math
from enum import IntEnum
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymorph_ros.errors import PolymorphError
from polymorph_ros.interfaces import topics
from polymorph_ros.interfaces.bag_messages import build, message_types, serialise
from polymorph_ros.interfaces.enumerations import ChangeKind, ResultState, ScoreSource
from polymorph_ros.interfaces.live_run import PROGRAM, LiveSummary, live_command
from polymorph_ros.interfaces.share import share_folder
from polymorph_ros.interfaces.stamps import stamp_fields, to_ns

HEADER = {"stamp": stamp_fields(7_000_000_008), "frame_id": "camera_optical"}


@given(st.integers(0, (1 << 31) * 1_000_000_000 - 1))
def test_stamps_are_exact(nanoseconds: int) -> None:
    stamp = build("builtin_interfaces/msg/Time", stamp_fields(nanoseconds))

    assert to_ns(stamp) == nanoseconds
    assert 0 <= stamp.nanosec < 1_000_000_000


def test_every_topics_type_is_defined() -> None:
    assert {topic.type for topic in topics.RESULTS} <= set(message_types().types)


@pytest.mark.parametrize(
    ("kind", "message", "prefix"),
    [
        (ScoreSource, "Label", "SOURCE_"),
        (ResultState, "LabelArray", "STATE_"),
        (ChangeKind, "LabelEvent", ""),
    ],
)
def test_enumerations_have_the_values_of_the_messages(
    kind: type[IntEnum], message: str, prefix: str
) -> None:
    constants = message_types().fielddefs[f"{topics.PACKAGE}/{message}"][0]

    assert {prefix + member.name: member.value for member in kind} == {
        name: value for name, _, value in constants
    }


def test_a_message_survives_its_way_through_cdr() -> None:
    label = {"name": "cup", "id": 3, "score": 0.5, "active": True, "source": 2, "age": 0.25}
    fields = {
        "header": HEADER, "camera": "front", "state": 1, "reason": "", "novelty": math.nan,
        "trust": 1.0, "labels": [label],
    }  # fmt: skip

    read = message_types().deserialize_cdr(
        serialise(topics.LABELS.type, fields), topics.LABELS.type
    )

    assert (to_ns(read.header.stamp), read.header.frame_id) == (7_000_000_008, "camera_optical")
    assert (read.labels[0].name, read.labels[0].id, read.labels[0].active) == ("cup", 3, True)
    assert math.isnan(read.novelty)


def test_a_field_that_is_not_given_is_no_message() -> None:
    with pytest.raises(KeyError):
        build(topics.EVENTS.type, {"header": HEADER})


def test_the_packages_folders_are_found_and_others_are_an_error() -> None:
    assert (share_folder("msg") / "LabelArray.msg").is_file()
    with pytest.raises(PolymorphError, match="the package's folder nothing"):
        share_folder("nothing")


def test_a_live_runs_summary_survives_its_file(tmp_path: Path) -> None:
    summary = LiveSummary(
        rate_hz=8.0, published=3, received=3, answered=2, dropped=1, lost=0, rejected=0, failed=0,
        latency_s=(0.01, 0.02), planner_delay_s=(), recorded_ns=(1, 2, 3),
        energy_source="estimated", faults=("the node ended with code 1",),
    )  # fmt: skip

    summary.write(tmp_path)

    assert LiveSummary.read(tmp_path) == summary


def test_a_live_runs_program_is_there() -> None:
    command = live_command(
        Path("bag"), topic="/image", rate_hz=8.0, bundle=Path("bundle"), out=Path("out")
    )

    assert command[1:3] == ["-m", PROGRAM]
    assert find_spec(f"{PROGRAM}.__main__") is not None
