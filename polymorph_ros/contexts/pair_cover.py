"""Contexts seen by pairs: which two labels stand in one context, and what each change would give.

A frame that shows two labels needs one adapter if some context has both. The weight of the pairs
that no context has is therefore what contexts cost, as far as pairs show it. All gains are updated
while contexts change, so one change costs about as much as reading a row.
"""

from __future__ import annotations

import numpy as np

from polymorph_ros.arrays import Floats, Mask

_EPSILON = 1e-12


class PairCover:
    """Contexts over weighted pairs of labels.

    Attributes:
        members: bool (contexts, labels), which context has which label.
        covered: weight of the pairs that stand together in some context.
        gains: float64 (contexts, labels), weight that a label would cover by joining a context.
        losses: float64 (contexts, labels), weight that only this context covers for its label.
        memberships: int (labels,), in how many contexts a label stands.
        sizes: int (contexts,), how many labels a context has.
        room: labels per context, at most.
    """

    def __init__(self, weights: Floats, members: Mask, room: int) -> None:
        """Start from given contexts.

        Args:
            weights: symmetric, not negative, zero on the diagonal; shape (labels, labels).
            members: shape (contexts, labels).
            room: labels per context, at most.
        """
        self._weights = weights
        self.room = room
        self.members = members.copy()
        numbers = members.astype(np.float64)
        self._times = np.rint(numbers.T @ numbers).astype(np.int32)
        self._open = np.where(self._times == 0, weights, 0.0)
        self._once = np.where(self._times == 1, weights, 0.0)
        self.gains = numbers @ self._open
        self.losses = numbers @ self._once
        self.memberships = members.sum(axis=0)
        self.sizes = members.sum(axis=1)
        self.covered = float(weights[self._times > 0].sum() / 2)

    def add(self, context: int, label: int) -> None:
        """Put a label into a context."""
        self.covered += float(self.gains[context, label])
        self._change(context, label, 1)

    def drop(self, context: int, label: int) -> None:
        """Take a label out of a context."""
        self.covered -= float(self.losses[context, label])
        self._change(context, label, -1)

    def _change(self, context: int, label: int, step: int) -> None:
        self._count(context, label, step)
        self.members[context, label] = step > 0
        self.gains[context] += step * self._open[label]
        self.losses[context] += step * self._once[label]
        self.memberships[label] += step
        self.sizes[context] += step

    def gain_after(self, context: int, dropped: int) -> Floats:
        """What each label would cover by joining a context that one label has left."""
        gain: Floats = self.gains[context] - self._open[dropped]
        return gain

    def fill(self) -> None:
        """Use the room that is left, best first, as long as a label gains anything."""
        while (self.sizes < self.room).any():
            free = ~self.members & (self.sizes < self.room)[:, None]
            gains = np.where(free, self.gains, 0.0)
            best = int(gains.argmax())
            if gains.flat[best] <= _EPSILON:
                return
            self.add(*divmod(best, gains.shape[1]))

    def improve(self, rng: np.random.Generator, sweeps: int) -> None:
        """Replace and exchange labels while more weight is covered."""
        self.fill()
        for _ in range(sweeps):
            before = self.covered
            contexts, labels = np.nonzero(self.members)
            for slot in rng.permutation(len(contexts)):
                context, label = int(contexts[slot]), int(labels[slot])
                if not self.members[context, label]:
                    continue
                if self.memberships[label] > 1:
                    self._replace(context, label)
                else:
                    self._exchange(context, label)
            self.fill()
            if self.covered <= before * (1 + 1e-6):
                return

    def _replace(self, context: int, label: int) -> None:
        """Give a label's place to the one that gains most there; it stands elsewhere too."""
        gain = self.gain_after(context, label)
        gain[self.members[context]] = -np.inf
        best = int(gain.argmax())
        if gain[best] > self.losses[context, label] + _EPSILON:
            self.drop(context, label)
            self.add(context, best)

    def _exchange(self, context: int, label: int) -> None:
        """Exchange a label that stands nowhere else with one of another context."""
        others, partners = np.nonzero(self.members)
        between = self._open[label, partners]
        here = self.gains[context, partners] - between - self.losses[context, label]
        there = self.gains[others, label] - between - self.losses[others, partners]
        gain = np.where(
            self.members[context, partners] | self.members[others, label], -np.inf, here + there
        )
        best = int(gain.argmax())
        if gain[best] <= _EPSILON:
            return
        other, partner = int(others[best]), int(partners[best])
        before = self.covered
        self.swap(context, label, other, partner)
        if self.covered < before + _EPSILON:  # the estimate leaves pairs in third contexts out
            self.swap(context, partner, other, label)

    def swap(self, context: int, label: int, other: int, partner: int) -> None:
        """Exchange two labels between two contexts."""
        self.drop(context, label)
        self.drop(other, partner)
        self.add(context, partner)
        self.add(other, label)

    def _count(self, context: int, label: int, step: int) -> None:
        """Count the label's pairs in a context once more or less; update what depends on it."""
        mates = np.flatnonzero(self.members[context])
        mates = mates[mates != label]
        times = self._times[label, mates] + step
        weights = self._weights[label, mates]
        opened = np.where(times == 0, weights, 0.0) - self._open[label, mates]
        single = np.where(times == 1, weights, 0.0) - self._once[label, mates]
        for table, change in ((self._times, np.full(len(mates), step)),
                              (self._open, opened), (self._once, single)):  # fmt: skip
            table[label, mates] += change
            table[mates, label] += change
        holders = np.flatnonzero(self.members[:, label])
        together = self.members[:, mates]
        for sums, change in ((self.gains, opened), (self.losses, single)):
            sums[:, label] += together @ change
            sums[np.ix_(holders, mates)] += change
