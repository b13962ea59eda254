"""Metrics over frames whose truth is partly unknown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score


def label_average_precision(
    scores: NDArray[np.float32], truth: NDArray[np.int8]
) -> NDArray[np.float64]:
    """Average precision of each label over its known frames.

    Args:
        scores: (frames, labels).
        truth: int8 (frames, labels): 1 present, 0 absent, -1 unknown (left out).

    Returns:
        (labels,); NaN for a label without a positive frame.
    """
    precision = np.full(truth.shape[1], np.nan)
    for label in range(truth.shape[1]):
        known = truth[:, label] >= 0
        present = truth[known, label] == 1
        if present.any():
            precision[label] = average_precision_score(present, scores[known, label])
    return precision


def mean_average_precision(scores: NDArray[np.float32], truth: NDArray[np.int8]) -> float:
    """Mean average precision: macro over the labels that have positive frames; NaN if none has."""
    precision = label_average_precision(scores, truth)
    return float(np.nanmean(precision)) if np.isfinite(precision).any() else float("nan")
