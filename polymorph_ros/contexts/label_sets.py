"""Label sets: which labels are seen together in a frame, and in how many frames.

Sets are sparse: a robot that knows a thousand labels sees a few of them at a time. A label that
is unknown in a frame (-1) is in no set, but that is no evidence of its absence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from polymorph_ros.data.track import Track


@dataclass(frozen=True)
class LabelSets:
    """The different label sets that are not empty, and how many frames have each.

    Attributes:
        rows: sparse (sets, labels), 1 where a set has a label.
        weights: float64 of shape (sets,), frames.
    """

    rows: csr_matrix
    weights: NDArray[np.float64]

    @property
    def labels(self) -> int:
        """How many labels the vocabulary has."""
        return int(self.rows.shape[1])

    def sizes(self) -> NDArray[np.int64]:
        """How many labels each set has."""
        sizes: NDArray[np.int64] = np.diff(self.rows.indptr).astype(np.int64)
        return sizes


def label_sets(tracks: Sequence[Track]) -> LabelSets:
    """Count the label sets of all frames of some sequences over one vocabulary."""
    labels = tracks[0].truth.shape[1] if tracks else 0
    counted: dict[bytes, int] = {}
    for track in tracks:
        packed = np.packbits(track.truth == 1, axis=1)
        for row in packed[packed.any(axis=1)]:
            key = row.tobytes()
            counted[key] = counted.get(key, 0) + 1
    width = (labels + 7) // 8
    packed = np.frombuffer(b"".join(counted), dtype=np.uint8).reshape(len(counted), width)
    return _sparse(packed, np.array(list(counted.values()), dtype=np.float64), labels)


def _sparse(
    packed: NDArray[np.uint8], weights: NDArray[np.float64], labels: int, step: int = 1 << 14
) -> LabelSets:
    """Unpack a part at a time: a thousand labels times all sets would fill a small memory."""
    parts = [
        np.nonzero(np.unpackbits(packed[first : first + step], axis=1, count=labels))
        for first in range(0, len(packed), step)
    ]
    sizes = [np.bincount(rows, minlength=min(step, len(packed) - part * step))
             for part, (rows, _) in enumerate(parts)]  # fmt: skip
    starts = np.concatenate([[0], *sizes]).cumsum()
    columns = np.concatenate([np.zeros(0, dtype=np.int64), *(columns for _, columns in parts)])
    ones = np.ones(len(columns), dtype=np.int32)
    return LabelSets(csr_matrix((ones, columns, starts), shape=(len(packed), labels)), weights)
