"""Which context a label comes with, and how often a label is there when its context is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.arrays import Mask
from polymorph_ros.contexts.presence import true_presence
from polymorph_ros.data.track import Track


@dataclass(frozen=True)
class Cooccurrence:
    """Shares of each (context, label of it), in the order of the contexts and their labels.

    Attributes:
        shares: of the frames with the label, the share in which the context stands for it (as
            ``true_presence`` says), float64 of shape (pairs,).
        priors: of the frames with the context, the share that has the label, likewise.
    """

    shares: NDArray[np.float64]
    priors: NDArray[np.float64]


def cooccurrence(
    tracks: Sequence[Track], contexts: Sequence[Sequence[int]], members: Mask
) -> Cooccurrence:
    """Count over training sequences; entries that are unknown (-1) are left out.

    Args:
        tracks: truth of the sequences.
        contexts: label indices of each context.
        members: the same as bool of shape (contexts, labels).
    """
    together = np.zeros(members.shape)
    known = np.zeros(members.shape)
    labelled = np.zeros(members.shape[1])
    for track in tracks:
        there = true_presence(track, members).astype(np.float64)
        present = (track.truth == 1).astype(np.float64)
        together += there.T @ present
        known += there.T @ (track.truth >= 0).astype(np.float64)
        labelled += present.sum(axis=0)
    rows = np.repeat(np.arange(len(contexts)), [len(labels) for labels in contexts])
    columns = np.concatenate([np.asarray(labels, dtype=np.int64) for labels in contexts])
    both = together[rows, columns]
    return Cooccurrence(
        shares=(both + 0.5) / (labelled[columns] + 1.0),
        priors=(both + 0.5) / (known[rows, columns] + 2.0),
    )
