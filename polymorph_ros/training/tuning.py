"""Choose what the policy needs to know, by replaying it whole on validation sequences."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.runtime.belief import logit, sigmoid
from polymorph_ros.runtime.knowledge import EvidenceWeights, Knowledge
from polymorph_ros.runtime.thresholds import Thresholds
from polymorph_ros.training.recorded import Recorded, replay

COVERED = 0.97  # of the frames in which labels are present, the share in which they are covered

# What is tried of each weight, in this order, again and again until nothing is better.
_TRIED: dict[str, tuple[float, ...]] = {
    "correlation_s": (0.1, 0.3, 1.0, 2.0, 3.0, 5.0, 10.0),
    "company": (0.0, 0.25, 0.5, 1.0),
    "scout": (0.0, 0.3, 0.6, 1.0),
    "context": (0.0, 0.3, 0.6, 1.0),
}
_ROUNDS = 3
_WATCHES = np.geomspace(0.01, 0.5, 24)
_FIRST_WATCH = 0.1  # before another is chosen
_ONS = np.linspace(0.1, 0.9, 33)
_HYSTERESIS = 1.0  # log-odds between on and off


def first_thresholds(labels: int) -> Thresholds:
    """Thresholds before any are chosen, each of shape (labels,)."""
    half = np.full(labels, 0.5)
    return Thresholds(half, sigmoid(logit(half) - _HYSTERESIS), np.full(labels, _FIRST_WATCH))


def choose_weights(recorded: Recorded, knowledge: Knowledge) -> EvidenceWeights:
    """How much of which evidence counts: what makes beliefs tell the truth best.

    Evidence that counts again and again, because its errors stay alike or because other evidence
    holds it already, makes beliefs too sure; evidence that is left out makes them slow. The least
    log loss of the beliefs decides, one weight after the other.

    Returns:
        weights of a coarse grid.
    """
    truth = recorded.frames.truth
    known = truth >= 0

    @cache
    def loss(weights: EvidenceWeights) -> float:
        beliefs = replay(recorded, replace(knowledge, weights=weights)).beliefs
        said = np.where(truth == 1, beliefs, 1.0 - beliefs)[known].astype(np.float64)
        return float(-np.log(np.maximum(said, 1e-6)).sum())

    best = knowledge.weights
    for _ in range(_ROUNDS):
        before = best
        for name, values in _TRIED.items():
            best = min((replace(best, **{name: value}) for value in values), key=loss)
        if best == before:
            break
    return best


def choose_thresholds(
    recorded: Recorded, knowledge: Knowledge, labels: NDArray[np.int64]
) -> Thresholds:
    """The thresholds of some labels; those of the others stay as the knowledge has them.

    ``watch`` is one for all of these labels, the highest that covers them in a share of
    ``COVERED`` of the frames in which they are present: then the last adapter that runs covers as
    much per cost for one label as for another. ``on`` has the best F1 of each label's beliefs.

    Args:
        recorded: scores of the validation frames.
        knowledge: with thresholds to begin with.
        labels: indices of the labels.
    """
    present = recorded.frames.truth[:, labels] == 1

    def covers(watch: float) -> bool:
        played = replay(recorded, _watching(knowledge, labels, watch))
        return bool(played.covered[:, labels][present].sum() >= COVERED * present.sum())

    # Coverage falls as `watch` rises: bisection finds the last that covers enough.
    place = bisect_left(_WATCHES.tolist(), 0, key=lambda watch: -1 if covers(watch) else 0)
    knowledge = _watching(knowledge, labels, float(_WATCHES[max(0, place - 1)]))
    beliefs = replay(recorded, knowledge).beliefs[:, labels]
    on, off = knowledge.thresholds.on.copy(), knowledge.thresholds.off.copy()
    on[labels], off[labels] = on_off(beliefs, recorded.frames.truth[:, labels])
    return replace(knowledge.thresholds, on=on, off=off)


def on_off(
    beliefs: NDArray[np.float32], truth: NDArray[np.int8]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """On-thresholds with the best F1 per label, and off-thresholds below them.

    Args:
        beliefs: (frames, labels), the engine's scores.
        truth: (frames, labels), -1 unknown.

    Returns:
        on and off, each (labels,); on is 0.5 for a label without examples.
    """
    on = np.full(truth.shape[1], 0.5)
    for label in range(truth.shape[1]):
        known = truth[:, label] >= 0
        present = truth[known, label] == 1
        if not present.any():
            continue
        called = beliefs[known, label][:, None] >= _ONS
        hits = (called & present[:, None]).sum(axis=0)
        f1 = 2.0 * hits / (called.sum(axis=0) + present.sum())
        # The middle of the best stretch stands more firmly than its edge.
        on[label] = np.median(_ONS[f1 >= f1.max() - 0.005])
    return on, sigmoid(logit(on) - _HYSTERESIS)


def _watching(knowledge: Knowledge, labels: NDArray[np.int64], watch: float) -> Knowledge:
    watches = knowledge.thresholds.watch.copy()
    watches[labels] = watch
    return replace(knowledge, thresholds=replace(knowledge.thresholds, watch=watches))
