"""Contexts seen by whole label sets: what a change costs exactly, for all labels at once.

Each set is a word of bits, one bit per label that it has; each context holds a part of those bits.
A greedy cover takes the context that holds most of what is left until nothing is left. Gains and
losses are computed by covering anew just the sets that a change can touch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from polymorph_ros.contexts.label_sets import LabelSets

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Words = NDArray[np.unsignedinteger]
Indices = NDArray[np.int64]


class SetCover:
    """The cost of contexts on label sets: mean adapters of a greedy cover.

    Labels that no context has count as one adapter each. Of sets with more than 64 labels, the
    first 64 count.

    Attributes:
        members: bool (contexts, labels), which context has which label.
        cost: the mean number of adapters per frame.
    """

    def __init__(self, sets: LabelSets, members: Mask) -> None:
        rows = _at_most_64(sets.rows)
        sizes = np.diff(rows.indptr)
        word = np.dtype(
            np.uint16 if sizes.max() <= 16 else np.uint32 if sizes.max() <= 32 else np.uint64
        )
        place = np.arange(rows.nnz) - np.repeat(rows.indptr[:-1], sizes)
        self._share = sets.weights / sets.weights.sum()
        self._starts, self._labels = rows.indptr, rows.indices
        self._bits = np.left_shift(word.type(1), place.astype(word), dtype=word)
        self._full = np.bitwise_or.reduceat(self._bits, rows.indptr[:-1])
        self._by_label(rows)
        self.members = members.copy()
        self._held = np.zeros((rows.shape[0], len(members)), dtype=word)
        for context, label in zip(*np.nonzero(members), strict=True):
            self._held[self._sets_of[label], context] |= self._bits_of[label]
        self._sizes = self._covers(self._held, self._full)
        self.cost = float(self._share @ self._sizes)

    def add(self, context: int, label: int) -> None:
        """Put a label into a context."""
        self.members[context, label] = True
        self._held[self._sets_of[label], context] |= self._bits_of[label]
        self._recount(self._sets_of[label])

    def drop(self, context: int, label: int) -> None:
        """Take a label out of a context."""
        self.members[context, label] = False
        self._held[self._sets_of[label], context] &= ~self._bits_of[label]
        self._recount(self._sets_of[label])

    def gains(self, context: int) -> Floats:
        """By how much each label would lower the cost by joining a context, shape (labels,)."""
        touched = np.flatnonzero((self._held[:, context] != 0) & (self._sizes > 1))
        entries, of = self._entries(touched)
        sets = touched[of]
        joins = (self._held[sets, context] & self._bits[entries]) == 0
        return self._difference(sets[joins], entries[joins], context)

    def losses(self, context: int) -> Floats:
        """By how much each label of a context would raise the cost by leaving it."""
        touched = np.flatnonzero(_count_bits(self._held[:, context]) > 1)
        entries, of = self._entries(touched)
        sets = touched[of]
        leaves = (self._held[sets, context] & self._bits[entries]) != 0
        return -self._difference(sets[leaves], entries[leaves], context)

    def gains_of(self, label: int) -> Floats:
        """By how much a label would lower the cost by joining each context, (contexts,)."""
        sets, bits = self._sets_of[label], self._bits_of[label]
        open_sets = self._sizes[sets] > 1
        sets, bits = sets[open_sets], bits[open_sets]
        held = self._held[sets]
        rows, contexts = np.nonzero((held != 0) & ((held & bits[:, None]) == 0))
        after = held[rows]
        after[np.arange(len(rows)), contexts] |= bits[rows]
        fewer = self._sizes[sets[rows]] - self._covers(after, self._full[sets[rows]])
        return np.asarray(
            np.bincount(contexts, self._share[sets[rows]] * fewer, minlength=len(self.members)),
            dtype=np.float64,
        )

    def _difference(self, sets: Indices, entries: Indices, context: int) -> Floats:
        """What the cost falls by, for each label, if its bits in one context are turned over."""
        after = self._held[sets]
        after[:, context] ^= self._bits[entries]
        fewer = self._sizes[sets] - self._covers(after, self._full[sets])
        labels, count = self._labels[entries], self.members.shape[1]
        return np.asarray(np.bincount(labels, self._share[sets] * fewer, count), dtype=np.float64)

    def _recount(self, sets: Indices) -> None:
        sizes = self._covers(self._held[sets], self._full[sets])
        self.cost += float(self._share[sets] @ (sizes - self._sizes[sets]))
        self._sizes[sets] = sizes

    def _entries(self, sets: Indices) -> tuple[Indices, Indices]:
        """All (set, label) entries of some sets, and to which of them each belongs."""
        counts = self._starts[sets + 1] - self._starts[sets]
        of = np.repeat(np.arange(len(sets)), counts)
        first = counts.cumsum() - counts
        return np.arange(len(of)) - first[of] + self._starts[sets][of], of

    def _by_label(self, rows: csr_matrix) -> None:
        numbered = csr_matrix((np.arange(rows.nnz) + 1, rows.indices, rows.indptr), rows.shape)
        columns = numbered.tocsc()
        parts = [slice(*columns.indptr[label : label + 2]) for label in range(rows.shape[1])]
        self._sets_of = [columns.indices[part].astype(np.int64) for part in parts]
        self._bits_of = [self._bits[columns.data[part] - 1] for part in parts]

    @staticmethod
    def _covers(held: Words, full: Words) -> NDArray[np.int64]:
        """Adapters of the greedy covers of some sets, given what each context holds of them."""
        sizes = np.ones(len(held), dtype=np.int64)
        every = np.arange(len(held))
        left = full & ~held[every, _count_bits(held).argmax(axis=1)]
        rows = np.flatnonzero(left)
        while rows.size:
            rest = held[rows] & left[rows, None]
            best = rest[np.arange(len(rows)), _count_bits(rest).argmax(axis=1)]
            alone = best == 0  # in no context: an adapter for each of what is left
            sizes[rows] += np.where(alone, _count_bits(left[rows]), 1)
            left[rows] &= np.where(alone, 0, ~best).astype(left.dtype)
            rows = rows[left[rows] != 0]
        return sizes


def _at_most_64(rows: csr_matrix) -> csr_matrix:
    sizes = np.diff(rows.indptr)
    if sizes.max(initial=0) <= 64:
        return rows
    place = np.arange(rows.nnz) - np.repeat(rows.indptr[:-1], sizes)
    kept = place < 64
    starts = np.concatenate([[0], np.minimum(sizes, 64).cumsum()])
    return csr_matrix((rows.data[kept], rows.indices[kept], starts), rows.shape)


def _count_bits(words: Words) -> NDArray[np.uint8]:
    """Set bits of each word (``numpy.bitwise_count`` is there from NumPy 2 on)."""
    if hasattr(np, "bitwise_count"):
        counted: NDArray[np.uint8] = np.bitwise_count(words)
        return counted
    octets = np.ascontiguousarray(words)[..., None].view(np.uint8)
    return _BITS_OF_OCTET[octets].sum(axis=-1, dtype=np.uint8)  # type: ignore[no-any-return]


_BITS_OF_OCTET = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(
    axis=1, dtype=np.uint8
)
