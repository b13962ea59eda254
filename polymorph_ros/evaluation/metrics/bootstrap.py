"""Confidence intervals of mean average precision, by resampling whole sequences.

Frames of one sequence are correlated, so they are always drawn together (cluster bootstrap:
Davison and Hinkley 1997, section 3.8). What a draw needs is counted once for each sequence: with
weights ``w`` (how often each sequence was drawn), the precision at a positive frame's score is
``w . (positives at or above it) / w . (frames at or above it)``, and average precision is its
mean over the positives, weighted by ``w``. All draws are then a few matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 1000
_LEVELS = 512  # distinct scores of positives per label; more are grouped evenly


@dataclass(frozen=True)
class Interval:
    """A 95 % percentile interval; NaN where it is unknown."""

    low: float
    high: float


def draw_weights(units: int, *, draws: int = DRAWS, seed: int = 0) -> NDArray[np.float64]:
    """How often each unit is drawn, (draws, units): rows sum to ``units``."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(units, np.full(units, 1.0 / units), size=draws).astype(np.float64)


def bootstrap_mean_ap(
    scores: NDArray[np.float32],
    truth: NDArray[np.int8],
    unit: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Mean average precision of every draw.

    Exact for labels with at most ``_LEVELS`` distinct scores of positives; beyond that the
    scores between two levels share one precision.

    Args:
        scores: (frames, labels).
        truth: int8 (frames, labels), -1 left out.
        unit: the sequence of each frame, (frames,), from 0.
        weights: as ``draw_weights`` returns them; the same for methods that are compared.

    Returns:
        (draws,): macro over the labels that have positives in the draw; NaN if none has.
    """
    per_label = [
        _label_draws(scores[known, label], truth[known, label] == 1, unit[known], weights)
        for label in range(truth.shape[1])
        for known in [truth[:, label] >= 0]
        if (truth[:, label] == 1).any()
    ]
    if not per_label:
        return np.full(len(weights), np.nan)
    table = np.stack(per_label)
    counted = np.isfinite(table).sum(axis=0)
    total = np.nansum(table, axis=0)
    return np.where(counted > 0, total / np.maximum(counted, 1), np.nan)


def interval(values: NDArray[np.float64]) -> Interval:
    """The 95 % percentile interval of draws; NaN without a finite one."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return Interval(float("nan"), float("nan"))
    low, high = np.percentile(finite, (2.5, 97.5)).tolist()
    return Interval(low, high)


def resampling_units(
    stamps_s: Sequence[NDArray[np.float64]], segment_s: float = 10.0
) -> tuple[NDArray[np.int64], str]:
    """Which unit each frame is drawn with, and what the units are, in words.

    Units are sequences. A single sequence is cut into segments, which are not independent
    either: an interval from them is too narrow rather than too wide, and says what it is.

    Args:
        stamps_s: the stamps of each sequence.
        segment_s: length of a segment of a single sequence, seconds.
    """
    if len(stamps_s) == 1:
        elapsed = stamps_s[0] - stamps_s[0][0]
        _, unit = np.unique((elapsed // segment_s).astype(np.int64), return_inverse=True)
        count = int(unit.max()) + 1
        words = "segment" if count == 1 else "segments"
        return unit, f"{count} {words} of {segment_s:g} s of one sequence"
    lengths = [len(stamps) for stamps in stamps_s]
    return np.repeat(np.arange(len(lengths)), lengths), f"{len(lengths)} sequences"


def _label_draws(
    scores: NDArray[np.float32],
    present: NDArray[np.bool_],
    unit: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    levels = _levels(scores[present])
    units = weights.shape[1]
    positives = _counts(levels, scores[present], unit[present], units)
    frames = _counts(levels, scores, unit, units)
    # a level's own positives: those at or above it, less those at or above the next higher level
    own = positives - np.concatenate([positives[:, 1:], np.zeros((units, 1))], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = (weights @ positives) / (weights @ frames)
        weight = weights @ own
        drawn = np.where(weight > 0, precision * weight, 0.0).sum(axis=1) / weight.sum(axis=1)
    return np.asarray(drawn, dtype=np.float64)


def _levels(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Ascending thresholds: every distinct score, or evenly many positives between them."""
    distinct = np.unique(scores)
    if len(distinct) <= _LEVELS:
        return distinct
    ranks = np.linspace(0, len(scores) - 1, _LEVELS).round().astype(np.int64)
    return np.unique(np.sort(scores)[ranks])


def _counts(
    levels: NDArray[np.float32],
    scores: NDArray[np.float32],
    unit: NDArray[np.int64],
    units: int,
) -> NDArray[np.float64]:
    """Frames of each unit that score at or above each level, (units, levels)."""
    highest = np.searchsorted(levels, scores, side="right") - 1  # -1: below all levels
    reached = highest >= 0
    flat = np.bincount(
        unit[reached] * len(levels) + highest[reached], minlength=units * len(levels)
    )
    table = flat.reshape(units, len(levels)).astype(np.float64)
    return table[:, ::-1].cumsum(axis=1)[:, ::-1]
