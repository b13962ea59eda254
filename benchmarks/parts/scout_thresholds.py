"""Thresholds from the scout alone: the same for all methods of an ablation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.contexts.statistics import Dynamics
from polymorph_ros.runtime.belief import Evidence, TwoStateFilter
from polymorph_ros.training.frames import LabelledFrames

_WATCH_RANGE = (0.03, 0.4)
_CORRELATIONS_S = (0.1, 0.3, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0)


def cover_threshold(
    scores: NDArray[np.float64],
    frames: LabelledFrames,
    learned: Dynamics,
    recall: float,
    correlation_s: float,
) -> NDArray[np.float64]:
    """Thresholds at which a label is covered: the scout's belief reaches them in time.

    Args:
        scores: the scout's calibrated probabilities, (frames, labels).
        frames: the frames that they belong to.
        learned: the labels' dynamics.
        recall: share of a label's frames in which it has to be in play.
        correlation_s: how long the errors of scores stay alike, seconds.

    Returns:
        (labels,), inside a sensible range also for labels without examples.
    """
    beliefs = _filtered(scores, frames, learned, correlation_s)
    thresholds = np.full(scores.shape[1], _WATCH_RANGE[1])
    for label in range(scores.shape[1]):
        present = frames.truth[:, label] == 1
        if present.any():
            thresholds[label] = np.quantile(beliefs[present, label], 1.0 - recall)
    return np.clip(thresholds, *_WATCH_RANGE)


def learn_correlation(
    scores: NDArray[np.float64], frames: LabelledFrames, learned: Dynamics
) -> float:
    """How long the errors of scores stay alike: what makes beliefs tell the truth best.

    Tried on validation sequences: the time with the least log loss of the filtered scores. One
    that is too short counts the same error again and again, and makes beliefs too sure.

    Args:
        scores: the scout's calibrated probabilities, (frames, labels).
        frames: the frames that they belong to.
        learned: the labels' dynamics.

    Returns:
        seconds, one of a coarse grid.
    """
    known, present = frames.truth >= 0, frames.truth == 1

    def loss(correlation_s: float) -> float:
        beliefs = _filtered(scores, frames, learned, correlation_s)
        said = np.where(present, beliefs, 1.0 - beliefs)[known]
        return float(-np.log(said).sum())

    return min(_CORRELATIONS_S, key=loss)


def _filtered(
    scores: NDArray[np.float64], frames: LabelledFrames, learned: Dynamics, correlation_s: float
) -> NDArray[np.float64]:
    """Beliefs over time from the scores alone; each sequence starts anew."""
    out, evidence = np.empty_like(scores), Evidence(learned.prior)
    every = np.ones(scores.shape[1], np.bool_)
    for part in frames.slices():
        belief = TwoStateFilter(learned.prior, learned.rate_hz, correlation_s)
        stamps_s = frames.stamps_s[part]
        for row, elapsed in enumerate(np.diff(stamps_s, prepend=stamps_s[0]), start=part.start):
            belief.predict(float(elapsed))
            belief.observe(belief.memory * np.exp(evidence.of(scores[row])), every)
            out[row] = belief.belief
    return out
