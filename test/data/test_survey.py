"""Pins the figures of a data set, above all that unknown is not counted as absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from parts.traces import read_trace
from polymorph_ros.data.survey import MIN_PAIR_FRAMES, survey
from polymorph_ros.data.track import Track
from polymorph_ros.data.vocabulary import Vocabulary

TRACES = Path(__file__).parents[3] / "shared/data/traces"

LABELS = Vocabulary(("mug", "oven", "bed"))


def track(rows: list[list[int]], hz: float = 2.0, name: str = "s") -> Track:
    return Track(np.array(rows, np.int8), np.arange(len(rows)) / hz, name)


def test_figures_of_a_small_set() -> None:
    first = track([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 0, 0]])
    second = track([[0, 0, 1]], name="t")

    seen = survey([first, second], LABELS)

    assert (seen.sequences, seen.frames, seen.seconds, seen.hz) == (2, 5, 1.5, 2.0)
    assert seen.labels_per_frame == pytest.approx(5 / 5)
    assert (seen.most_labels, seen.empty_share, seen.unknown_share) == (2, 0.2, 0.0)
    assert seen.jaccard == pytest.approx((1 / 2 + 0 + 0) / 3)
    mug, oven, bed = seen.labels
    assert (mug.present, mug.absent, mug.sequences, mug.mean_run_s) == (3, 2, 1, 0.75)
    assert (oven.present, oven.mean_run_s) == (1, 0.5)
    assert (bed.present, bed.sequences, bed.mean_run_s) == (1, 1, 0.0)


def test_what_is_unknown_is_left_out() -> None:
    rows = [[1, -1, 0], [1, 1, -1], [-1, 1, 0]]

    seen = survey([track(rows)], LABELS)

    assert seen.unknown_share == pytest.approx(3 / 9)
    assert [(label.present, label.absent) for label in seen.labels] == [(2, 0), (2, 0), (0, 2)]
    assert seen.jaccard == 1.0


def test_lift_is_taken_where_both_are_known() -> None:
    both, neither, one = [1, 1, 0], [0, 0, 0], [1, -1, -1]
    rows = [both] * MIN_PAIR_FRAMES + [neither] * MIN_PAIR_FRAMES + [one] * 100

    (pair,) = survey([track(rows)], LABELS).pairs

    assert (pair.first, pair.second, pair.frames) == ("mug", "oven", MIN_PAIR_FRAMES)
    assert pair.lift == pytest.approx(2.0)


@settings(deadline=None)
@given(arrays(np.int8, st.tuples(st.integers(30, 60), st.just(4)), elements=st.integers(-1, 1)))
def test_lift_agrees_with_its_definition(truth: np.ndarray) -> None:
    names = Vocabulary(("a", "b", "c", "d"))
    cut = len(truth) // 3
    parts = [Track(part, np.arange(len(part)) * 0.1) for part in (truth[:cut], truth[cut:])]

    pairs = {(pair.first, pair.second): pair for pair in survey(parts, names).pairs}

    for i in range(4):
        for j in range(i + 1, 4):
            known = truth[(truth[:, i] >= 0) & (truth[:, j] >= 0)] == 1
            frames = int((known[:, i] & known[:, j]).sum())
            pair = pairs.get((names.names[i], names.names[j]))
            assert (pair is not None) == (frames >= MIN_PAIR_FRAMES)
            if pair:
                chance = known[:, i].mean() * known[:, j].mean()
                assert pair.frames == frames
                assert pair.lift == pytest.approx(frames / len(known) / chance)


# the figures that the data's own description gives: labels per frame, Jaccard, mean label run
@pytest.mark.parametrize(
    ("name", "labels", "jaccard", "run_s"),
    [("kscgr_1fps", 10.4, 0.981, 69.6), ("kitti_tracking_10hz", 1.95, 0.986, 9.7)],
)
def test_real_traces_have_the_figures_of_their_description(
    name: str, labels: float, jaccard: float, run_s: float
) -> None:
    path = TRACES / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip("no traces at ../shared/data/traces")
    trace = read_trace(path)

    seen = survey(trace.tracks, trace.vocabulary)

    assert seen.labels_per_frame == pytest.approx(labels, abs=0.05)
    assert seen.jaccard == pytest.approx(jaccard, abs=0.0005)
    assert seen.mean_run_s == pytest.approx(run_s, abs=0.05)
