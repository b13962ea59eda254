"""Pins scenes made for a trace: the trace's truth, the same bytes at every reading, labels that
are seen while they are true and where they were a moment before, names that decide looks.

Open: how hard the pictures are; `benchmarks/specialisation.py` measures that.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from parts.trace_parts import most_frequent, split, windows
from parts.traced import TracedPictures, traced_scenes
from parts.traced.look import look_of
from parts.traces import Trace
from polymorph_ros.data.track import Track
from polymorph_ros.data.vocabulary import Vocabulary
from polymorph_ros.errors import PolymorphError

LABELS = ("cup", "pan", "tap")


def track_of(rows: list[list[int]], name: str = "kitchen", hz: float = 1.0) -> Track:
    return Track(np.array(rows, np.int8), np.arange(len(rows)) / hz, name)


def pictures(rows: list[list[int]], *, hz: float = 1.0, **changed: object) -> NDArray[np.uint8]:
    made = TracedPictures(track_of(rows, hz=hz), LABELS, **changed)  # type: ignore[arg-type]
    return np.stack(list(made.read()))


def trace_of(*tracks: Track) -> Trace:
    return Trace("made", Vocabulary(LABELS), tracks)


def test_the_data_set_is_the_trace_with_pictures() -> None:
    trace = trace_of(track_of([[1, 0, 0], [1, 1, 0]]), track_of([[0, 0, 1]], "hall"))

    data = traced_scenes(trace, size=(64, 48))

    assert data.vocabulary is trace.vocabulary
    assert data.tracks() == trace.tracks
    frames = list(data.sequences[0].pictures.read())
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 2
    assert frames[0].dtype == np.uint8


def test_every_reading_gives_the_same_bytes_and_another_seed_others() -> None:
    rows = [[1, 0, 1], [1, 1, 0], [0, 0, 0]]

    assert (pictures(rows) == pictures(rows)).all()
    assert (pictures(rows, seed=1) != pictures(rows)).any()


def test_a_label_is_seen_exactly_while_it_is_true() -> None:
    without = pictures([[0, 0, 0]] * 4)
    with_cup = pictures([[0, 0, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0]])

    changed = (without != with_cup).any(axis=3).mean(axis=(1, 2))

    assert changed[0] == changed[3] == 0
    assert (changed[1:3] > 0.01).all()


def test_a_stay_is_one_thing_that_moves_smoothly_and_the_next_stay_is_another() -> None:
    rows = [[1, 0, 0]] * 3 + [[0, 0, 0]] + [[1, 0, 0]]
    empty = pictures([[0, 0, 0]] * 5, hz=10.0, distractors=0)
    shown = pictures(rows, hz=10.0, distractors=0)
    where = (empty != shown).any(axis=3)

    overlap = (where[0] & where[1]).sum() / (where[0] | where[1]).sum()

    assert overlap > 0.8
    assert (where[2] != where[4]).mean() > 0.01


def test_names_decide_looks_and_worlds_change_them() -> None:
    assert look_of("cup") == look_of("cup")
    assert len({look_of(f"label {index}") for index in range(300)}) >= 290
    assert (pictures([[1, 1, 1]]) != pictures([[1, 1, 1]], world="others")).any()


@pytest.mark.parametrize("wrong", [{"size": (16, 96)}, {"distractors": -1}])
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(PolymorphError, match="traced scenes"):
        traced_scenes(trace_of(track_of([[1, 0, 0]])), **wrong)  # type: ignore[arg-type]


def test_the_most_frequent_labels_are_kept_in_order() -> None:
    trace = trace_of(track_of([[1, 0, 1], [0, 0, 1], [0, 1, 1], [0, 1, 0]]))

    kept = most_frequent(trace, 2)

    assert kept.vocabulary.names == ("pan", "tap")
    np.testing.assert_array_equal(kept.tracks[0].truth, [[0, 1], [0, 1], [1, 1], [1, 0]])
    with pytest.raises(PolymorphError, match="1 to 3 labels"):
        most_frequent(trace, 4)


@given(st.lists(st.text("abc", min_size=1), unique=True, max_size=30), st.integers(0, 5))
def test_a_sequence_lands_in_the_part_that_its_name_decides(names: list[str], seed: int) -> None:
    tracks = [track_of([[1, 0, 0]], name) for name in names]

    parts = split(trace_of(*tracks), (0.6, 0.2, 0.2), seed=seed)
    alone = [split(trace_of(track), (0.6, 0.2, 0.2), seed=seed) for track in tracks]

    assert sorted(t.name for part in parts for t in part.tracks) == sorted(names)
    for part, alone_parts in zip(range(3), zip(*alone, strict=True), strict=False):
        assert [t.name for one in alone_parts for t in one.tracks] == [
            t.name for t in parts[part].tracks
        ]


def test_windows_are_stretches_with_labels() -> None:
    rows = [[1, 0, 0]] * 4 + [[0, 0, 0]] * 4 + [[0, 1, 0]] * 3
    trace = trace_of(track_of(rows, hz=2.0))

    cut = windows(trace, 4, 10)

    assert [track.name for track in cut.tracks] == ["kitchen@0", "kitchen@8"]
    np.testing.assert_array_equal(cut.tracks[1].truth, [[0, 1, 0]] * 3)
    assert cut.tracks[1].stamps_s[0] == 0
    assert len(windows(trace, 4, 1).tracks) == 1


def test_cells_name_the_label_where_it_is_seen() -> None:
    rows = [[0, 1, 0]]
    made = TracedPictures(track_of(rows), LABELS, distractors=0)
    changed = (pictures(rows, distractors=0) != pictures([[0, 0, 0]], distractors=0)).any(axis=3)[0]

    grid = next(made.cells(24))

    assert set(np.unique(grid)) == {0, 2}
    seen = changed.reshape(24, 4, 24, 4).mean(axis=(1, 3)) > 0.5
    assert (seen & (grid == 2)).sum() > 0.5 * (seen | (grid == 2)).sum()
