"""Pins the demo's parts that need no DDS: stamps of recordings, the summary, sheet and views.

The whole demo, through DDS and with processes, is in test_demo.py.
"""

from __future__ import annotations

import io
import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rosbags.rosbag2 import Writer
from rosbags.typesys import Stores, get_typestore

from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import write_json
from polymorph_ros.msg import EnergyReport, LabelInfo
from polymorph_ros.ros.demo.sheet import Chip, Tile, Verdict, draw_sheet, judge, write_sheet
from polymorph_ros.ros.demo.summary import summarise
from polymorph_ros.ros.demo.table import closing_view, live_view
from polymorph_ros.ros.harness.listener import Answer, CameraStatus, NodeOutput
from polymorph_ros.ros.harness.recording import open_recording, restamped, stamp_of
from polymorph_ros.ros.harness.run import RunOutput

TYPES = get_typestore(Stores.ROS2_HUMBLE)
ISSUE_KEYS = {
    "published", "received", "answered", "dropped", "mean_ap", "latency_p50_s", "latency_p95_s",
    "adapters_per_frame", "joules_per_frame", "energy_source",
}  # fmt: skip

stamps = st.integers(0, (2**31) * 10**9 - 1)


def image_cdr(stamp_ns: int, *, little_endian: bool = True) -> bytes:
    kinds = TYPES.types
    header = kinds["std_msgs/msg/Header"](
        stamp=kinds["builtin_interfaces/msg/Time"](sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9),
        frame_id="optical",
    )
    message = kinds["sensor_msgs/msg/Image"](
        header=header, height=2, width=2, encoding="rgb8", is_bigendian=0, step=6,
        data=np.arange(12, dtype=np.uint8),
    )  # fmt: skip
    raw = TYPES.serialize_cdr(message, "sensor_msgs/msg/Image", little_endian=little_endian)
    return bytes(raw)


def write_bag(path: Path, topics: dict[str, str], images: int = 2) -> Path:
    with Writer(path, version=8) as writer:
        for topic, kind in topics.items():
            link = writer.add_connection(topic, kind, typestore=TYPES)
            for number in range(images):
                writer.write(link, number, image_cdr(number))
    return path


@given(recorded_ns=stamps, stamp_ns=stamps, little_endian=st.booleans())
def test_a_new_stamp_changes_nothing_else(
    recorded_ns: int, stamp_ns: int, little_endian: bool
) -> None:
    message = image_cdr(recorded_ns, little_endian=little_endian)

    changed = restamped(message, stamp_ns)

    assert stamp_of(message) == recorded_ns
    assert changed == image_cdr(stamp_ns, little_endian=little_endian)


def test_a_bags_only_image_topic_need_not_be_named(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", {"/a/image": "sensor_msgs/msg/Image"}, images=3)

    recording = open_recording(bag)
    messages = list(recording.messages())

    assert (recording.topic, recording.count, recording.compressed) == ("/a/image", 3, False)
    assert [stamp_of(message) for message in messages] == [0, 1, 2]


def test_of_several_image_topics_one_must_be_named(tmp_path: Path) -> None:
    kinds = {"/a": "sensor_msgs/msg/Image", "/b": "sensor_msgs/msg/Image"}
    bag = write_bag(tmp_path / "bag", kinds)

    with pytest.raises(PolymorphError, match=r"expected one image topic, found /a, /b; "):
        open_recording(bag)
    with pytest.raises(PolymorphError, match="expected the image topic /c, found /a, /b"):
        open_recording(bag, "/c")
    assert open_recording(bag, "/b").topic == "/b"


def test_what_is_no_bag_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(PolymorphError, match="expected a rosbag2 folder"):
        open_recording(tmp_path)


def answer(stamp_ns: int, latency_s: float = 0.01, **scores: float) -> Answer:
    active = tuple(label for label, score in scores.items() if score >= 0.5)
    return Answer(stamp_ns, stamp_ns + round(latency_s * 1e9), 1, scores, active)


def node_output(*answers: Answer, joules: float = 0.5, **counts: int) -> NodeOutput:
    output = NodeOutput(info=LabelInfo(bundle="drawn", checksum="c0ffee"))
    for one in answers:
        output.answers[one.stamp_ns] = one
        output.energy[one.stamp_ns] = EnergyReport(
            joules=joules, mean_watts=2.0, adapters_run=2, source="estimated"
        )
    output.camera = CameraStatus(**{"received": len(answers), "answered": len(answers), **counts})
    return output


def test_the_summary_joins_truth_by_the_recorded_stamp_and_leaves_unknowns_out() -> None:
    # The score of "cat" is perfect on known frames and wrong on the unknown one; "dog" is
    # never there and so in no mean; "owl" is not in the vocabulary.
    output = node_output(
        answer(1001, 0.010, cat=0.9, dog=0.1),
        answer(1002, 0.020, cat=0.2, dog=0.1),
        answer(1003, 0.030, cat=0.95, dog=0.1),
    )
    recorded_ns = {1001: 1, 1002: 2, 1003: 3}
    truth = {
        1: {"cat": 1, "dog": 0, "owl": 1},
        2: {"cat": 0, "dog": 0, "owl": 1},
        3: {"cat": -1, "dog": 0, "owl": 1},
    }

    summary = summarise("drawn", RunOutput(output, recorded_ns), truth, floor=0.9)

    assert (summary.published, summary.answered, summary.dropped) == (3, 3, 0)
    assert (summary.mean_ap, summary.scored_labels) == (1.0, 1)
    assert summary.latency_p50_s == pytest.approx(0.020)
    assert summary.adapters_per_frame == 2.0
    assert summary.joules_per_frame == 0.5
    assert summary.energy_source == "estimated"
    assert summary.faults == ()


def test_a_frame_that_is_in_no_column_is_a_fault_and_a_dropped_one_is_not() -> None:
    output = node_output(answer(1, cat=0.9), dropped=1)

    in_order = summarise("drawn", RunOutput(output, {1: 1, 2: 2}), {}, floor=None)
    one_missing = summarise("drawn", RunOutput(output, {1: 1, 2: 2, 3: 3}), {}, floor=None)

    assert in_order.faults == ()
    assert one_missing.faults[0].startswith("1 of 3 frames were neither answered nor counted")


def test_answers_to_other_stamps_do_not_count() -> None:
    output = node_output(answer(1, cat=0.9), answer(77, cat=0.9))

    summary = summarise("drawn", RunOutput(output, {1: 1}), {}, floor=None)

    assert summary.answered == 1


@pytest.mark.parametrize(
    ("floor", "in_order"), [(None, True), (0.49, True), (0.5, False), (0.51, False)]
)
def test_the_mean_average_precision_must_exceed_the_floor(
    floor: float | None, in_order: bool
) -> None:
    # The one positive is ranked second of two: average precision 1/2.
    output = node_output(answer(1, cat=0.2), answer(2, cat=0.8))
    truth = {1: {"cat": 1}, 2: {"cat": 0}}

    summary = summarise("drawn", RunOutput(output, {1: 1, 2: 2}), truth, floor=floor)

    assert summary.mean_ap == pytest.approx(0.5)
    assert (summary.faults == ()) is in_order


def test_without_truth_there_is_no_accuracy_and_the_floor_does_not_count() -> None:
    output = node_output(answer(1, cat=0.9))

    summary = summarise("drawn", RunOutput(output, {1: 1}), {}, floor=0.9)

    assert summary.mean_ap is None
    assert summary.faults == ()


def test_nothing_published_and_a_fallen_node_are_faults() -> None:
    run = RunOutput(NodeOutput(), {}, ("the node fell",))

    summary = summarise("drawn", run, {}, floor=None)

    assert summary.faults == ("nothing was published", "the node fell")
    assert summary.latency_p50_s is None
    assert summary.energy_source == "unavailable"


def test_the_file_has_the_agreed_keys_and_null_for_what_is_not_known(tmp_path: Path) -> None:
    output = node_output(answer(1, cat=0.9), joules=math.nan)
    summary = summarise("drawn", RunOutput(output, {1: 1}), {}, floor=None)

    write_json(tmp_path / "summary.json", asdict(summary))

    figures = json.loads((tmp_path / "summary.json").read_text())
    assert set(figures) >= ISSUE_KEYS
    assert figures["joules_per_frame"] is None
    assert figures["mean_ap"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_labels_are_judged_against_the_truth() -> None:
    scores = {"cat": 0.9, "dog": 0.8, "owl": 0.7, "fox": 0.3, "bat": 0.1}
    truth = {"cat": 1, "dog": 0, "owl": -1, "fox": 1, "bat": 0}

    chips = judge(scores, ["cat", "dog", "owl"], truth)

    assert [(chip.label, chip.verdict) for chip in chips] == [
        ("cat", Verdict.RIGHT),
        ("dog", Verdict.WRONG),
        ("owl", Verdict.UNJUDGED),
        ("fox", Verdict.MISSED),
    ]
    assert {chip.verdict for chip in judge(scores, ["cat"], None)} == {Verdict.UNJUDGED}


@pytest.mark.parametrize("shape", [(48, 64, 3), (960, 1280, 3), (100, 30, 3)])
def test_the_sheet_shows_each_frame(shape: tuple[int, int, int], tmp_path: Path) -> None:
    reds = [np.full(shape, (40 * number + 60, 0, 0), dtype=np.uint8) for number in range(3)]
    chips = tuple(Chip(f"label {n}", 0.5, Verdict.RIGHT) for n in range(30))

    sheet = draw_sheet([Tile(red, "now", chips) for red in reds], "a title", "more words")
    write_sheet(sheet, tmp_path / "sheet.png")

    for red in reds:
        assert np.count_nonzero((sheet == red[0, 0]).all(axis=2)) > 1000
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_a_sheet_of_nothing_is_refused() -> None:
    with pytest.raises(PolymorphError, match="at least one answered frame"):
        draw_sheet([], "a title", "")


def test_the_views_show_labels_metrics_and_faults() -> None:
    output = node_output(answer(1, 0.0123, cat=0.91, dog=0.12), dropped=4)
    output.adapters[1] = ("indoors",)
    summary = summarise("drawn", RunOutput(output, {1: 1}, ("something fell",)), {}, floor=None)
    console = Console(record=True, width=120, file=io.StringIO())

    console.print(live_view(NodeOutput(), 0, 10))
    console.print(live_view(output, 7, 10))
    console.print(closing_view(summary))

    text = console.export_text()
    for words in ("7 of 10", "cat", "0.91", "indoors", "12.3 ms", "0.500 J", "estimated", "fell"):
        assert words in text
