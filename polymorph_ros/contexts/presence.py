"""Which contexts are there in a frame: those of the cover that an oracle would choose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.arrays import Floats, Mask
from polymorph_ros.data.track import Track

NEIGHBOURHOOD_S = 10.0


def true_presence(track: Track, members: Mask) -> NDArray[np.int8]:
    """The contexts that cover the true labels of each frame of a sequence.

    A label alone (a person) may belong to several contexts; then the one with most labels
    present within some seconds around the frame is meant, for that is where the robot is.

    Args:
        track: truth and stamps of one sequence.
        members: bool of shape (contexts, labels).

    Returns:
        int8 of shape (frames, contexts): 1 where the context is in the cover, else 0.
    """
    present = track.truth == 1
    around = mean_around(present, track.stamps_s)
    likelihood = around @ members.T / np.maximum(1.0, around.sum(axis=1, keepdims=True))
    presence = np.zeros((len(present), len(members)), dtype=np.int8)
    left = present & members.any(axis=0)
    while (rows := np.flatnonzero(left.any(axis=1))).size:
        gain = left[rows].astype(np.float64) @ members.T
        best = np.where(gain > 0, gain + 0.9 * likelihood[rows], -1.0).argmax(axis=1)
        presence[rows, best] = 1
        left[rows] &= ~members[best]
    return presence


def mean_around(presence: Mask | Floats, stamps_s: Floats) -> Floats:
    """Mean presence of each label in the seconds around each frame.

    Args:
        presence: 1 or True where a label is present, shape (frames, labels).
        stamps_s: ascending, seconds, shape (frames,).

    Returns:
        float64 of shape (frames, labels).
    """
    total = np.vstack([np.zeros(presence.shape[1]), np.cumsum(presence, axis=0)])
    first = np.searchsorted(stamps_s, stamps_s - NEIGHBOURHOOD_S, side="left")
    last = np.searchsorted(stamps_s, stamps_s + NEIGHBOURHOOD_S, side="right")
    mean: Floats = (total[last] - total[first]) / (last - first)[:, None]
    return mean
