"""Contexts judged on whole label sets: what a change costs exactly, for all labels at once.

Each set is a word of bits, one bit per label that it has; each context holds a part of those bits.
A greedy cover takes the context that holds most of what is left until nothing is left. Gains and
losses are computed by covering again only the sets that a change can touch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from polymorph_ros.arrays import Floats, Indices, Mask
from polymorph_ros.contexts.label_sets import LabelSets

Words = NDArray[np.unsignedinteger]


class SetCover:
    """The cost of contexts on label sets: mean adapters of a greedy cover.

    Labels that no context has count as one adapter each. Of sets with more than 64 labels, the
    first 64 count.

    Args:
        sets: the label sets, at least one.
        members: bool (contexts, labels), the contexts to begin with.

    Attributes:
        members: bool (contexts, labels), which context has which label.
        cost: the mean number of adapters per frame.
        work: places of contexts in sets that were looked at so far.
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
        self.work = 0
        self._held = np.zeros((rows.shape[0], len(members)), dtype=word)
        for context, label in zip(*np.nonzero(members), strict=True):
            self._held[self._sets_of[label], context] |= self._bits_of[label]
        self._sizes = self._covers(self._held, self._full)
        self.cost = float(self._share @ self._sizes)

    def add(self, context: int, label: int) -> None:
        """Put a label into a context."""
        self._recount(label, context, True)

    def drop(self, context: int, label: int) -> None:
        """Take a label out of a context."""
        self._recount(label, context, False)

    def gains(self, context: int) -> Floats:
        """By how much each label would lower the cost by joining a context, shape (labels,)."""
        touched = np.flatnonzero((self._held[:, context] != 0) & (self._sizes > 1))
        return self._difference(touched, context, joins=True)

    def losses(self, context: int) -> Floats:
        """By how much each label of a context would raise the cost by leaving it."""
        touched = np.flatnonzero(_count_bits(self._held[:, context]) > 1)
        return -self._difference(touched, context, joins=False)

    def gains_of(self, label: int) -> Floats:
        """By how much a label would lower the cost by joining each context, (contexts,)."""
        sets, bits = self._sets_of[label], self._bits_of[label]
        open_sets = self._sizes[sets] > 1
        sets, bits = sets[open_sets], bits[open_sets]
        held, contexts = self._compact(sets)
        rows, places = np.nonzero((held != 0) & ((held & bits[:, None]) == 0))
        after = held[rows]
        after[np.arange(len(rows)), places] |= bits[rows]
        fewer = self._sizes[sets[rows]] - self._covers(after, self._full[sets[rows]])
        joined, count = contexts[rows, places], len(self.members)
        gains = np.bincount(joined, self._share[sets[rows]] * fewer, count)
        return np.asarray(gains, dtype=np.float64)

    def _difference(self, touched: Indices, context: int, *, joins: bool) -> Floats:
        """What the cost falls by, for each label, if it joins a context or leaves it."""
        here = self._held[touched, context]
        entries, of = self._entries(touched)
        inside = (here[of] & self._bits[entries]) != 0
        entries, of = entries[inside != joins], of[inside != joins]
        held, contexts = self._compact(touched)
        held[contexts == context] = 0
        after = np.column_stack([here[of] ^ self._bits[entries], held[of]])
        sets = touched[of]
        fewer = self._sizes[sets] - self._covers(after, self._full[sets])
        labels, count = self._labels[entries], self.members.shape[1]
        return np.asarray(np.bincount(labels, self._share[sets] * fewer, count), dtype=np.float64)

    def _compact(self, sets: Indices) -> tuple[Words, Indices]:
        """What contexts hold of some sets, without those that hold nothing, and which they are.

        Both of shape (sets, most contexts that hold something of one set); 0 and -1 fill rows up.
        """
        all_held = self._held[sets]
        # flat and of bools: NumPy finds those far faster than the places of words
        found = np.flatnonzero(all_held != 0)
        rows, contexts = found // all_held.shape[1], found % all_held.shape[1]
        counts = np.bincount(rows, minlength=len(sets))
        place = np.arange(len(rows)) - (counts.cumsum() - counts)[rows]
        shape = (len(sets), max(1, int(counts.max(initial=0))))
        held = np.zeros_like(all_held, shape=shape)
        which = np.full(shape, -1, dtype=np.int64)
        held[rows, place] = all_held[rows, contexts]
        which[rows, place] = contexts
        self.work += all_held.size
        return held, which

    def _recount(self, label: int, context: int, joins: bool) -> None:
        """Put a label into a context or take it out; cover anew the sets that this can touch."""
        sets, bits = self._sets_of[label], self._bits_of[label]
        self.members[context, label] = joins
        self._held[sets, context] ^= bits
        # Where the context has nothing else of a set, the label takes an adapter of its own anyway.
        sets = sets[(self._held[sets, context] & ~bits) != 0]
        sizes = self._covers(self._compact(sets)[0], self._full[sets])
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
        best = held[np.arange(len(held)), _count_bits(held).argmax(axis=1)]
        sizes: NDArray[np.int64] = (best != 0).astype(np.int64)
        left = full & ~best
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
    first = place < 64
    starts = np.concatenate([[0], np.minimum(sizes, 64).cumsum()])
    return csr_matrix((rows.data[first], rows.indices[first], starts), rows.shape)


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
