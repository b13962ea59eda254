"""Tuning: what the policy needs to know is chosen by replaying it on stored scores.

Pins that the time for which errors stay alike is found from scores that were made with one, that
evidence is weighed so that beliefs tell the truth best, that adapters run where that makes
beliefs truer, and that labels which were not asked for keep their thresholds.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from polymorph_ros.contexts.cooccurrence import cooccurrence
from polymorph_ros.contexts.cost import membership
from polymorph_ros.contexts.presence import true_presence
from polymorph_ros.contexts.statistics import dynamics
from polymorph_ros.data.track import Track
from polymorph_ros.runtime.knowledge import EvidenceWeights, Knowledge
from polymorph_ros.runtime.pairs import make_pairs
from polymorph_ros.training.frames import LabelledFrames
from polymorph_ros.training.score_replay import ReplayedBeliefs, StoredScores, replay
from polymorph_ros.training.stages.thresholds import (
    TOLERATED,
    choose_thresholds,
    choose_time,
    choose_weights,
    first_thresholds,
    log_loss,
)

_CONTEXTS = ((0, 1), (2, 3))
_LABELS = 4
_HZ = 5.0


def _recorded(correlation_s: float, rows: int = 600) -> tuple[StoredScores, Knowledge]:
    """Two contexts that take turns, and scores with errors that stay alike for some time."""
    rng = np.random.default_rng(0)
    here = np.repeat(rng.integers(0, 2, rows // 50), 50)
    chance = np.where(np.repeat(np.eye(2), 2, axis=1)[here] > 0, 0.6, 0.0)
    truth = (np.repeat(rng.random((rows // 10, _LABELS)), 10, axis=0) < chance).astype(np.int8)
    frames = LabelledFrames(
        np.zeros((rows, 1, 1, 3), np.uint8), truth, np.zeros(rows, np.int32), np.arange(rows) / _HZ
    )
    tracks = frames.tracks()
    members = membership(_CONTEXTS, _LABELS)
    present = true_presence(tracks[0], members)
    labels, contexts = dynamics(tracks), dynamics([Track(present, tracks[0].stamps_s)])
    counted = cooccurrence(tracks, _CONTEXTS, members)
    knowledge = Knowledge(
        labels=tuple("abcd"),
        context_names=("one", "two"),
        contexts=_CONTEXTS,
        members=members,
        pairs=make_pairs(_CONTEXTS, labels.prior, contexts.prior, counted.shares, counted.priors),
        label_dynamics=labels,
        context_dynamics=contexts,
        costs=np.ones(2),
        thresholds=first_thresholds(_LABELS),
    )
    scored = _scores(truth, labels.prior, 1.5, correlation_s, rng)
    scouted = _scores(present, contexts.prior, 1.5, correlation_s, rng)
    answers = tuple(
        _scores(truth[:, list(group)], counted.priors[2 * number : 2 * number + 2], 2.0,
                correlation_s, rng)
        for number, group in enumerate(_CONTEXTS)
    )  # fmt: skip
    return StoredScores(frames, scored, scouted, answers), knowledge


def _scores(
    truth: np.ndarray, prior: np.ndarray, separation: float, correlation_s: float, rng
) -> np.ndarray:
    """Calibrated scores of two normals, with errors of first-order autocorrelation."""
    alike, noise = np.exp(-1.0 / _HZ / correlation_s), rng.normal(0, 1, truth.shape)
    for row in range(1, len(noise)):
        noise[row] = alike * noise[row - 1] + np.sqrt(1 - alike**2) * noise[row]
    evidence = separation**2 * (truth - 0.5) + separation * noise
    return (1 / (1 + np.exp(-evidence - np.log(prior / (1 - prior))))).astype(np.float32)


@pytest.mark.parametrize("correlation_s", [0.1, 3.0])
def test_how_long_errors_stay_alike_is_found_from_scores(correlation_s: float) -> None:
    stored, knowledge = _recorded(correlation_s)

    found, over_time = choose_time(stored, knowledge)

    assert over_time.used
    assert correlation_s / 3.5 <= found.correlation_s <= correlation_s * 3.5


def test_no_other_weight_makes_the_beliefs_tell_the_truth_better() -> None:
    stored, knowledge = _recorded(1.0)

    found = choose_weights(stored, knowledge)

    def loss(weights: EvidenceWeights) -> float:
        beliefs = replay(stored, replace(knowledge, weights=weights)).beliefs.astype(np.float64)
        return -np.log(np.where(stored.frames.truth == 1, beliefs, 1.0 - beliefs)).sum()

    others = [
        replace(found, **{name: value})
        for name in ("cooccurrence", "scout", "context")
        for value in (0.0, 1.0)
    ]
    assert loss(found) < loss(knowledge.weights)
    assert all(loss(found) <= loss(other) for other in others)


def test_adapters_run_where_it_makes_a_difference_and_not_elsewhere() -> None:
    stored, knowledge = _recorded(0.3)
    silent = tuple(  # answers that say what is known anyhow
        np.broadcast_to(knowledge.pairs.prior[part], answers.shape)
        for part, answers in zip((slice(0, 2), slice(2, 4)), stored.answers, strict=True)
    )

    told, untold = (
        choose_thresholds(each, knowledge, np.arange(_LABELS))
        for each in (stored, replace(stored, answers=silent))
    )

    def played(cover: np.ndarray) -> ReplayedBeliefs:
        thresholds = replace(told, cover=cover)
        return replay(stored, replace(knowledge, thresholds=thresholds))

    assert (told.cover < untold.cover).all()
    best = min(
        log_loss(played(np.full(_LABELS, cover)).beliefs, stored.frames.truth)
        for cover in (0.01, 0.05, 0.2)
    )
    chosen = played(told.cover)
    assert log_loss(chosen.beliefs, stored.frames.truth) <= (1.0 + 2 * TOLERATED) * best


def test_labels_that_are_not_asked_for_keep_their_thresholds() -> None:
    stored, knowledge = _recorded(0.3)

    chosen = choose_thresholds(stored, knowledge, np.array([2, 3]))

    for name in ("on", "off", "cover"):
        kept = getattr(knowledge.thresholds, name)
        np.testing.assert_array_equal(getattr(chosen, name)[:2], kept[:2])
    assert (chosen.cover[2:] != knowledge.thresholds.cover[2:]).all()


def test_a_replay_is_the_same_every_time() -> None:
    stored, knowledge = _recorded(0.3, rows=200)

    first, second = (replay(stored, knowledge) for _ in range(2))

    np.testing.assert_array_equal(first.beliefs, second.beliefs)
    np.testing.assert_array_equal(first.covered, second.covered)


def _errors_that_last(recorded: StoredScores) -> StoredScores:
    """Scores whose errors stay for a whole sequence, so that time has nothing to teach."""
    rng = np.random.default_rng(1)
    frames = recorded.frames
    sequence = (np.arange(len(frames)) // 20).astype(np.int32)
    truth = (rng.random((30, _LABELS)) < 0.3).astype(np.int8)[sequence]
    wrong = rng.normal(0, 3.0, (30, _LABELS))[sequence]
    scores = (1 / (1 + np.exp(-(4.0 * truth - 2.0 + wrong)))).astype(np.float32)
    flat = np.full_like(recorded.contexts, 0.5)
    answers = tuple(scores[:, list(group)] for group in _CONTEXTS)
    return StoredScores(replace(frames, truth=truth, sequence=sequence), scores, flat, answers)


def test_beliefs_go_over_time_only_where_held_out_sequences_bear_it_out() -> None:
    stored, knowledge = _recorded(0.1)
    _, pays = choose_time(stored, knowledge)

    lasting = _errors_that_last(stored)
    weights, _ = choose_time(lasting, knowledge)

    assert pays.used
    assert pays.log_loss < pays.log_loss_alone
    alone = replay(_every_frame_first(lasting), replace(knowledge, weights=weights)).beliefs
    beliefs = replay(lasting, replace(knowledge, weights=weights)).beliefs
    truth = lasting.frames.truth
    assert log_loss(beliefs, truth) <= log_loss(alone, truth)


def test_single_frames_have_the_same_scores_whatever_came_before_to_the_bit() -> None:
    stored, knowledge = _recorded(1.0, rows=200)
    weights = replace(knowledge.weights, correlation_s=np.inf, smoothing_s=0.0)
    # every adapter runs: which ones do depends on what is active
    cover = np.full(_LABELS, 1e-9)
    every = replace(knowledge.thresholds, cover=cover)
    single = replace(knowledge, weights=weights, thresholds=every)

    together, apart = replay(stored, single), replay(_every_frame_first(stored), single)

    np.testing.assert_array_equal(together.adapters, apart.adapters)
    np.testing.assert_array_equal(together.beliefs, apart.beliefs)


def _every_frame_first(stored: StoredScores) -> StoredScores:
    sequence = np.arange(len(stored.frames), dtype=np.int32)
    return replace(stored, frames=replace(stored.frames, sequence=sequence))
