"""F1 of the labels that were called active, at whatever thresholds called them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score


@dataclass(frozen=True)
class F1:
    """F1 over all entries together, and its mean over the labels that have positives.

    NaN where no label has a positive.
    """

    micro: float
    macro: float


def f1(active: NDArray[np.bool_], truth: NDArray[np.int8]) -> F1:
    """F1 of called labels.

    Args:
        active: (frames, labels), True where the label was called.
        truth: int8 (frames, labels): 1 present, 0 absent, -1 unknown (left out).
    """
    known, present = truth >= 0, truth == 1
    with_positives = np.flatnonzero(present.any(axis=0)).tolist()
    if not with_positives:
        return F1(float("nan"), float("nan"))
    per_label = [
        f1_score(present[known[:, label], label], active[known[:, label], label], zero_division=0)
        for label in with_positives
    ]
    micro = f1_score(present[known], active[known], zero_division=0)
    return F1(float(micro), float(np.mean(per_label)))
