"""Pins the join of labels and pictures by stamps: each picture to the labels nearest to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polymorph_ros.data.clock import Clock
from polymorph_ros.data.dataset import Fault
from polymorph_ros.data.joining import JoinedPictures, Moment, labelled_recordings, nearest_index
from polymorph_ros.data.label_csv import read_label_csv
from polymorph_ros.errors import PolymorphError


@dataclass(frozen=True)
class Clip:
    """A recording in memory; a picture's red is its place."""

    stamps_s: Iterable[float]
    name: str = "clip"
    breaks_after: int = 1000
    frame_id: str = ""
    clock: Clock | None = None

    def moments(self) -> Iterator[Moment]:
        for number, stamp_s in enumerate(self.stamps_s):
            if number == self.breaks_after:
                raise PolymorphError("a whole chunk", "a broken one", where=self.name)
            yield Moment(stamp_s, partial(np.full, (2, 2, 3), number, np.uint8))


def join(labels: Sequence[float], clip: Clip, tolerance_s: float = 0.05) -> list[int | str]:
    wheres = [f"line {number}" for number in range(len(labels))]
    pictures = JoinedPictures(clip, np.array(labels, np.float64), wheres, tolerance_s)
    items = list(pictures.read())
    for number, item in enumerate(items):
        assert not isinstance(item, Fault) or item.where == wheres[number]
    return [item.reason if isinstance(item, Fault) else int(item[0, 0, 0]) for item in items]


@pytest.mark.parametrize(
    ("labels", "stamps", "expected"),
    [
        ([0.0, 1.0, 2.0], [0.0, 1.0, 2.0], [0, 1, 2]),  # the same stamps
        ([1.0, 2.0], [0.9, 0.98, 1.01, 1.5, 1.96, 2.2], [2, 4]),  # sparse labels, dense pictures
        ([1.0], [0.95, 1.05], [0]),  # equally near: the first
        ([1.0, 1.0625], [1.0], [0, "nearer to other labels"]),  # one picture for two rows
        ([1.0, 2.0, 3.0], [1.0, 3.0], [0, "the nearest is 1 s away", 1]),  # a lost picture
        ([1.0, 2.0], [5.0], ["the nearest is 4 s away", "the nearest is 3 s away"]),
        ([1.0], [], ["no picture"]),
    ],
)
def test_each_picture_belongs_to_the_nearest_labels(
    labels: list[float], stamps: list[float], expected: list[int | str]
) -> None:
    found = join(labels, Clip(stamps), tolerance_s=0.0625)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one == other or (isinstance(one, str) and str(other) in one)


def test_what_comes_before_a_break_is_kept_and_the_break_is_told() -> None:
    found = join([0.0, 1.0, 2.0], Clip([0.0, 1.0, 2.0], breaks_after=2))
    assert found[:2] == [0, 1]
    assert "clip: expected a whole chunk, found a broken one" in str(found[2])


def test_pictures_after_the_last_labels_are_not_asked_for() -> None:
    stamps = iter([0.0, 1.0, 2.0, 3.0])
    assert join([0.0], Clip(stamps)) == [0]
    assert list(stamps) == [2.0, 3.0]


times = st.lists(st.integers(0, 400), unique=True, min_size=1, max_size=30).map(
    lambda values: [value / 100 for value in sorted(values)]
)


@settings(deadline=None)
@given(labels=times, stamps=times, tolerance=st.integers(0, 50).map(lambda value: value / 100))
def test_a_picture_is_taken_if_and_only_if_both_are_nearest_to_each_other(
    labels: list[float], stamps: list[float], tolerance: float
) -> None:
    found = join(labels, Clip(stamps), tolerance)

    rows, pictures = np.array(labels), np.array(stamps)
    gaps = np.abs(rows[:, None] - pictures)
    owner = [nearest_index(rows, stamp) for stamp in stamps]
    for row, item in enumerate(found):
        candidates = [
            (gaps[row, number], number)
            for number in range(len(stamps))
            if owner[number] == row and gaps[row, number] <= tolerance
        ]
        assert (item == min(candidates)[1]) if candidates else isinstance(item, str)


def test_rows_and_recordings_find_each_other_by_name(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("sequence,stamp,labels\na,1,mug\nb,0,\nb,1,mug\nlost,3,mug\nlost,4,mug\n")

    clips = [Clip([0.0, 1.0], "b"), Clip([1.0], "a"), Clip([0.0], "silent")]
    dataset = labelled_recordings(read_label_csv(path), clips, 0.05)

    assert [track.name for track in dataset.tracks()] == ["a", "b"]
    np.testing.assert_array_equal(dataset.tracks()[1].truth, [[0], [1]])
    assert [(fault.where, fault.reason) for fault in dataset.faults] == [
        ("silent", f"no row of {path} names it"),
        (f"{path}, line 5", "no video or recording of the name 'lost' for 2 rows"),
    ]


@pytest.mark.parametrize("text", ["stamp,labels\n1,mug\n", "sequence,stamp,labels\nany,1,mug\n"])
def test_a_single_recording_needs_no_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    dataset = labelled_recordings(read_label_csv(path), [Clip([1.0], "drive")], 0.05)
    assert [track.name for track in dataset.tracks()] == ["drive"]


def test_without_any_match_both_sides_are_named(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("sequence,stamp,labels\na,1,mug\nb,1,mug\n")
    with pytest.raises(PolymorphError, match=r"rows for drive, found the sequences 'a', 'b'"):
        labelled_recordings(read_label_csv(path), [Clip([1.0], "drive")], 0.05)
