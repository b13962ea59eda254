"""Calibration: whether a score of 0.8 is right eight times in ten."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import binary_calibration_error

BINS = 15


def calibration_error(scores: NDArray[np.float32], truth: NDArray[np.int8]) -> float:
    """Expected calibration error of P(present) over all known entries (Naeini et al. 2015).

    The mean over ``BINS`` equally wide bins, weighted by their entries, of
    ``|share of present - mean score|``.

    Args:
        scores: (frames, labels), in [0, 1].
        truth: int8 (frames, labels); -1 is left out.

    Returns:
        in [0, 1]; NaN without a known entry.
    """
    known = truth >= 0
    if not known.any():
        return float("nan")
    predicted = torch.from_numpy(scores[known].astype(np.float32))
    return float(
        binary_calibration_error(predicted, torch.from_numpy(truth[known].astype(np.int64)), BINS)
    )
