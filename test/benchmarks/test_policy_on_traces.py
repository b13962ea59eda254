"""Pins the policy benchmark: scores of the quality asked for, metrics, split, every baseline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from parts.policy_study.metrics import Played, Tally
from parts.policy_study.simulated_scores import Quality, Simulator, separations
from parts.policy_study.study import (
    learn,
    split_sequences,
    study_trace,
    weights_for,
)
from parts.traces import Trace, read_trace
from polymorph_ros.data.track import Track
from polymorph_ros.data.vocabulary import Vocabulary

ROOMS = ((0, 1, 2), (3, 4, 5), (6, 7, 8))  # labels that occur together
NAMES = tuple("abcdefghi")


def synthetic_trace(sequences: int = 12, frames: int = 120) -> Trace:
    """Sequences that go from room to room; each of a room's labels is there now and then."""
    rng = np.random.default_rng(0)
    tracks = []
    for number in range(sequences):
        truth = np.zeros((frames, len(NAMES)), dtype=np.int8)
        for first in range(0, frames, 20):
            room = list(ROOMS[rng.integers(3)])
            for part in range(first, first + 20, 5):
                truth[part : part + 5, room] = rng.random(3) < 0.6
        tracks.append(Track(truth, np.arange(frames) / 1.0, f"s{number}"))
    return Trace("made", Vocabulary(NAMES), tuple(tracks))


def test_scores_have_the_average_precision_asked_for() -> None:
    rng = np.random.default_rng(0)
    for prior in (0.02, 0.2):
        (d,) = separations(np.array([prior]), 0.7)
        truth = rng.random(40_000) < prior
        evidence = d * d * (truth - 0.5) + d * rng.standard_normal(40_000)
        assert average_precision_score(truth, evidence) == pytest.approx(0.7, abs=0.04)


def test_simulated_scores_are_calibrated() -> None:
    trace = synthetic_trace(sequences=40)
    known = learn(NAMES, trace.tracks, labels_per_context=3)
    simulator = Simulator(known, Quality())
    simulated = [simulator.simulate(track, number) for number, track in enumerate(trace.tracks)]

    scores = np.concatenate([scores.label_scores for scores in simulated])
    truth = np.concatenate([track.truth for track in trace.tracks])
    sure = scores > 0.6
    assert truth[sure].mean() == pytest.approx(scores[sure].mean(), abs=0.08)
    assert all(scores.answers[0].shape == (120, len(known.contexts[0])) for scores in simulated)


def test_the_same_seed_gives_the_same_scores_and_each_sequence_its_own() -> None:
    trace = synthetic_trace()
    known = learn(NAMES, trace.tracks, labels_per_context=3)
    first, again = (Simulator(known, Quality(), seed=3).simulate(trace.tracks[0], 0) for _ in "ab")
    other = Simulator(known, Quality(), seed=3).simulate(trace.tracks[0], 1)

    assert (first.label_scores == again.label_scores).all()
    assert (first.label_scores != other.label_scores).any()


def test_whole_sequences_are_split_and_none_is_in_two_parts() -> None:
    trace = synthetic_trace()

    split = split_sequences(trace.tracks, seed=0, frames=0)

    names = [t.name for part in (split.learning, split.tuning, split.held_out) for t in part]
    assert sorted(names) == sorted(track.name for track in trace.tracks)


def test_figures_of_a_sequence_that_can_be_counted_by_hand() -> None:
    truth = np.array([[0, 1], [1, 1], [1, 0], [1, 0]], dtype=bool)
    active = np.array([[0, 1], [0, 1], [1, 1], [0, 0]], dtype=bool)
    adapters = np.array([[0, 1], [0, 1], [1, 0], [1, 1]], dtype=bool)
    tally = Tally(members=np.eye(2, dtype=bool))

    tally.add(Played(active.astype(np.float32), active, adapters), truth, np.arange(4) * 1.0)

    assert tally.row() == {
        "frames": 4,
        "adapters_per_frame": 5 / 4,
        "covered": 4 / 5,  # label 0 is not covered in frame 1
        "delay_median_frames": 0.5,  # 1 and 0
        "delay_p95_frames": pytest.approx(0.95),
        "missed_runs": 0.0,
        "flaps_per_minute": 15.0,  # label 0 is dropped in frame 3
        "f1": pytest.approx(2 * 3 / (4 + 5)),
    }


def test_every_baseline_has_a_row_and_polymorph_pays_between_none_and_all() -> None:
    rows = {
        str(row["policy"]): row
        for row in study_trace(
            synthetic_trace(), labels_per_context=3, quality=Quality(), seed=0, frames=300,
            probe_share=0.0, say=lambda text: None,
        )
    }  # fmt: skip

    assert {
        "polymorph", "oracle_cover", "all_adapters", "last_frame", "periodic_scan",
        "fixed_context", "random_contexts",
    } <= set(rows)  # fmt: skip
    ours, oracle, every = (rows[n] for n in ("polymorph", "oracle_cover", "all_adapters"))
    assert oracle["covered"] == every["covered"] == 1.0
    assert ours["adapters_per_frame"] < every["adapters_per_frame"]
    assert ours["covered"] > rows["fixed_context"]["covered"]
    assert ours["flaps_per_minute"] < rows["last_frame"]["flaps_per_minute"]


def test_real_traces_can_be_read() -> None:
    folder = Path(__file__).parents[2] / "../shared/data/traces"
    if not folder.is_dir():
        pytest.skip("no label traces in ../shared/data/traces")
    trace = read_trace(folder / "kscgr_1fps.jsonl.gz")

    assert split_sequences(trace.tracks, 0, 1000).held_out


def test_beliefs_are_told_how_long_the_simulated_errors_stay_alike() -> None:
    assert weights_for(Quality(correlation_s=2.5)).correlation_s == 2.5
