"""Pins the parts of benchmarks/the_loop.py: the truth of its streams, what its owner does on the
page and counts, and how missed frames and new labels are measured.

Left open: the whole loop, which takes minutes and photos that are not in this repository.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.browser import chromium
from helpers.label_page import label_server, opened
from helpers.recordings import write_bag
from parts.page_owner import label_captures
from parts.photo_stream import PhotoFrame, StreamPlan, commonest_kinds, photo_stream, photos_of
from polymorph_ros.data.label_csv import read_label_csv
from polymorph_ros.errors import PolymorphError

pytest.importorskip("rclpy", reason="test_the_loop needs rclpy, which is not installed")

from parts.loop_metrics import Seen, missed_frames, new_labels
from polymorph_ros.ros.harness.listener import Answer, NodeOutput

PLAN = StreamPlan("val", seed=1, each=2, crossing_s=2.0, gap_s=1.0, hz=5.0, size=(64, 48))
KINDS = ("red", "blue")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of photos of one colour each, as the set of groceries is laid out."""
    folder = tmp_path_factory.mktemp("photos")
    rows = ["part,file,product,kind,group"]
    for kind, colour in (("red", (0, 0, 255)), ("blue", (255, 0, 0)), ("rare", (0, 255, 0))):
        for number in range(1 if kind == "rare" else 3):
            file = f"{kind}{number}.png"
            cv2.imwrite(str(folder / file), np.full((40, 30, 3), colour, np.uint8))
            rows.append(f"train,{file},{kind},{kind},{'b' if kind == 'blue' else 'a'}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_kinds_are_the_commonest_of_each_group(data: Path) -> None:
    assert commonest_kinds(data) == KINDS

    with pytest.raises(PolymorphError, match="photos of green"):
        photos_of(data, ["green"], ["train"])


def test_the_truth_of_a_stream_is_what_its_pictures_show(data: Path) -> None:
    frames = list(photo_stream(PLAN, photos_of(data, KINDS, ["train"])).frames())

    truth = np.stack([frame.truth for frame in frames])
    assert len(frames) == round((1.0 + 4 * 3.0) * 5.0)
    assert ((truth != 0).sum(axis=1) <= 1).all(), "photos cross one after the other"
    assert (truth == -1).any(axis=0).all(), "each is seen in part when it comes and goes"
    for kind, channel in enumerate((0, 2)):
        colour = np.stack([_share(frame.image, channel) for frame in frames])
        assert colour[truth[:, kind] == 1].min() > colour[truth[:, kind] == 0].max()


def _share(image: np.ndarray, channel: int) -> float:
    """How much of a picture is purely of one colour."""
    others = np.delete(image, channel, axis=2)
    return float(((image[:, :, channel] > 250) & (others < 5).all(axis=2)).mean())


def test_the_same_photos_go_other_ways(data: Path) -> None:
    photos = photos_of(data, KINDS, ["train"])
    other = StreamPlan("test", seed=2, each=2, crossing_s=1.0, gap_s=0.5, hz=5.0)

    first, again = photo_stream(PLAN, photos), photo_stream(other, photos, like=PLAN)

    kinds = [sorted(crossing.kind for crossing in one.crossings) for one in (first, again)]
    ways = [{(c.height, c.middle, c.tilt) for c in one.crossings} for one in (first, again)]
    assert kinds[0] == kinds[1]
    assert ways[0].isdisjoint(ways[1])


def test_an_owner_labels_all_frames_with_few_keys(tmp_path: Path) -> None:
    shown = [[], ["cup"], ["cup"], [], ["box"], [], ["box"], ["box"], ["cup"], []]
    stamps = [1.0 + number / 10 for number in range(len(shown))]
    bag, table = write_bag(tmp_path / "bag", stamps), tmp_path / "labels.csv"
    with (
        chromium() as browser,
        label_server(bag, "--labels", table, "--no-suggest") as server,
        opened(browser, server) as page,
    ):
        keys = label_captures(page, ("cup", "box"), lambda ns: shown[round((ns / 1e9 - 1) * 10)])

    rows = sorted(read_label_csv(table).rows, key=lambda row: row.stamp_s or 0.0)
    assert [list(row.present) for row in rows] == shown
    assert all(row.unknown == () for row in rows)
    assert keys.frames == 10
    # two names, two spans without, two spans with, two single frames
    assert keys.actions == 2 * 2 + 2 * 2 + 2 * 2 + 2
    assert keys.letters == 6


def test_what_was_sent_and_not_answered_was_missed() -> None:
    frames = {stamp: _frame(1, 0) for stamp in (10, 20, 30)}
    output = NodeOutput(answers={10: _answer(10), 30: _answer(30)})

    missed = missed_frames(list(frames), output, {"draw": 0, "meet": 1, "grow": 3})

    assert missed["frames_missed"] == 1
    assert missed["frames_missed_by_part"] == {"draw": 0, "meet": 0, "grow": 1}


def test_new_labels_are_measured_on_what_the_node_said() -> None:
    frames = {10: _frame(1, 0), 20: _frame(0, 1), 30: _frame(-1, 0), 40: _frame(0, 0)}
    right = {10: (0.9, 0.1), 20: (0.1, 0.8), 30: (1.0, 0.0), 40: (0.0, 0.0)}
    wrong = {stamp: scores[::-1] for stamp, scores in right.items()}

    good, bad, none = (
        new_labels(NodeOutput(answers={s: _answer(s, *v) for s, v in said.items()}), frames, KINDS)
        for said in (right, wrong, {})
    )

    assert good["mean_ap"] == good["micro_f1"] == 1.0
    assert bad["mean_ap"] < 0.7
    assert none["micro_f1"] == 0.0


def test_a_frame_is_found_by_its_stamp_in_milliseconds() -> None:
    seen = Seen({1_234_567_891: _frame(1, 0), 2_000_000_000: _frame(0, -1)}, KINDS)

    assert seen(1_234_000_000) == ["red"]
    assert seen(2_000_000_000) == []
    with pytest.raises(PolymorphError, match="a frame that was sent"):
        seen(1_500_000_000)


def _frame(*truth: int) -> PhotoFrame:
    return PhotoFrame(np.zeros((2, 2, 3), np.uint8), 0.0, np.array(truth, np.int8))


def _answer(stamp_ns: int, *scores: float) -> Answer:
    said = dict(zip(KINDS, scores, strict=False))
    return Answer(stamp_ns, stamp_ns, 0, said, tuple(k for k, v in said.items() if v > 0.5))
