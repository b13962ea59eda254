"""What contexts cost at run time: how many adapters cover a frame's labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from polymorph_ros.arrays import Mask
from polymorph_ros.contexts.label_sets import LabelSets

_SETS_AT_ONCE = 1 << 14


def membership(contexts: Sequence[Sequence[int]], labels: int) -> Mask:
    """Which context contains which label, shape (contexts, labels)."""
    mask = np.zeros((len(contexts), labels), dtype=np.bool_)
    for row, members in enumerate(contexts):
        mask[row, list(members)] = True
    return mask


def expected_adapters(members: Mask, sets: LabelSets) -> float:
    """The mean number of adapters of a greedy cover, over frames that have labels.

    Labels that no context has are not asked for. Without any frame: 0.
    """
    asked = sets.rows[:, members.any(axis=0)]
    columns = members[:, members.any(axis=0)].T.astype(np.int32)
    total = 0.0
    for first in range(0, asked.shape[0], _SETS_AT_ONCE):
        part = slice(first, first + _SETS_AT_ONCE)
        total += float(sets.weights[part] @ _cover_sizes(asked[part], columns))
    return total / max(1.0, float(sets.weights.sum()))


def _cover_sizes(left: csr_matrix, columns: NDArray[np.int32]) -> NDArray[np.int64]:
    """Adapters of each set's greedy cover; ``columns`` has a column for each context."""
    sizes = np.zeros(left.shape[0], dtype=np.int64)
    rows = np.flatnonzero(np.diff(left.indptr))
    left = left[rows]
    while rows.size:
        best = (left @ columns).argmax(axis=1)
        sizes[rows] += 1
        of_row = np.repeat(np.arange(len(rows)), np.diff(left.indptr))
        remains = columns[left.indices, best[of_row]] == 0
        counts = np.bincount(of_row[remains], minlength=len(rows))
        starts = np.concatenate([[0], counts.cumsum()])
        left = csr_matrix(
            (left.data[remains], left.indices[remains], starts), shape=left.shape
        )[counts > 0]  # fmt: skip
        rows = rows[counts > 0]
    return sizes
