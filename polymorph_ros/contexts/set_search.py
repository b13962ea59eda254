"""Improve contexts on whole label sets, with pairs as a safeguard against chance.

What is lowered is ``(1 - trust) x mean adapters + trust x weight of pairs that no context has``:
label sets that were seen count as they are, pairs that are likely to be seen (`pair_evidence`)
stand for those that were not.
"""

from __future__ import annotations

import numpy as np

from polymorph_ros.arrays import Floats
from polymorph_ros.contexts.label_sets import LabelSets
from polymorph_ros.contexts.pair_cover import PairCover
from polymorph_ros.contexts.set_cover import SetCover

Change = tuple[str, int, int]  # "add" or "drop", context, label

_EPSILON = 1e-9
_TRIALS = 2  # changes tried for a context or a label that promise most
_PAYS = 1e-3  # a sweep that gains less, as a share of what could be gained, is the last


class SetSearch:
    """Contexts under improvement.

    Args:
        sets: the label sets that were seen.
        pairs: the contexts to begin with; they are changed in place.
        trust: how far pairs count rather than sets, from 0 to 1.

    Attributes:
        pairs: the contexts by pairs; holds the members.
    """

    def __init__(self, sets: LabelSets, pairs: PairCover, trust: float) -> None:
        self.pairs = pairs
        self._sets = SetCover(sets, pairs.members)
        self._trust = trust

    @property
    def objective(self) -> float:
        """What is lowered, up to a constant."""
        return (1 - self._trust) * self._sets.cost - self._trust * self.pairs.covered

    def improve(self, rng: np.random.Generator, sweeps: int, most_work: int) -> None:
        """Replace, move and exchange labels while the objective falls.

        Args:
            rng: gives the order of contexts and labels.
            sweeps: over all of them, at most.
            most_work: places of contexts in sets to look at, at most.
        """
        contexts, labels = self.pairs.members.shape
        for _ in range(sweeps):
            before = self.objective
            # Last known gains and losses of every place: estimates for the moves of labels.
            self._gains = np.zeros((contexts, labels))
            self._losses = np.zeros((contexts, labels))
            for context in rng.permutation(contexts):
                if self._sets.work < most_work:
                    self._improve_context(int(context))
            for label in rng.permutation(labels):
                if self.pairs.memberships[label] == 1 and self._sets.work < most_work:
                    self._move(int(label))
            if before - self.objective < _PAYS * max(0.0, self._sets.cost - 1):
                return

    def _improve_context(self, context: int) -> None:
        """Fill room that is left; then replace the labels that a context can spare best."""
        while self.pairs.sizes[context] < self.pairs.room:
            gains = self._gain(context)
            best = int(gains.argmax())
            if gains[best] <= _EPSILON:
                break
            self._apply(("add", context, best))
        losses = self._loss(context)
        spare = np.flatnonzero(self.pairs.members[context] & (self.pairs.memberships > 1))
        for label in spare[np.argsort(losses[spare], kind="stable")][:_TRIALS]:
            before = self.objective
            self._apply(("drop", context, int(label)))
            gains = self._gain(context)
            best = int(gains.argmax())
            if gains[best] > -np.inf:
                self._apply(("add", context, best))
            if self.objective < before - _EPSILON:
                continue
            if gains[best] > -np.inf:
                self._apply(("drop", context, best))
            self._apply(("add", context, int(label)))

    def _move(self, label: int) -> None:
        """Bring a label that stands in one context where it saves more, in another's place."""
        origin = int(self.pairs.members[:, label].argmax())
        gains = self._mix(self._sets.gains_of(label), self.pairs.gains[:, label])
        gains[origin] = -np.inf
        leaving = self._losses[origin, label]
        losses = np.where(self.pairs.members, self._losses, np.inf)
        alone = self.pairs.memberships == 1
        # A label that stands elsewhere too just leaves; one that does not comes here in exchange.
        estimate = gains[:, None] - losses + np.where(alone, self._gains[origin], 0.0) - leaving
        estimate[:, self.pairs.members[origin] & alone] = -np.inf
        for place in np.argsort(-estimate, axis=None, kind="stable")[:_TRIALS]:
            other, partner = divmod(int(place), estimate.shape[1])
            if estimate[other, partner] <= _EPSILON:
                return
            changes: list[Change] = [
                ("drop", origin, label), ("drop", other, partner), ("add", other, label)
            ]  # fmt: skip
            if alone[partner]:
                changes.append(("add", origin, partner))
            if self._keep_if_better(changes, origin):
                return

    def _keep_if_better(self, changes: list[Change], refill: int) -> bool:
        before = self.objective
        for change in changes:
            self._apply(change)
        if self.pairs.sizes[refill] < self.pairs.room:
            gains = self._gain(refill)
            if gains.max() > _EPSILON:
                changes = [*changes, ("add", refill, int(gains.argmax()))]
                self._apply(changes[-1])
        if self.objective < before - _EPSILON:
            return True
        for kind, context, label in reversed(changes):
            self._apply(("drop" if kind == "add" else "add", context, label))
        return False

    def _gain(self, context: int) -> Floats:
        """What joining a context would lower the objective by; -inf for its members."""
        gains = self._mix(self._sets.gains(context), self.pairs.gains[context])
        self._gains[context] = gains
        return np.where(self.pairs.members[context], -np.inf, gains)

    def _loss(self, context: int) -> Floats:
        self._losses[context] = self._mix(self._sets.losses(context), self.pairs.losses[context])
        losses: Floats = self._losses[context]
        return losses

    def _mix(self, of_sets: Floats, of_pairs: Floats) -> Floats:
        mixed: Floats = (1 - self._trust) * of_sets + self._trust * of_pairs
        return mixed

    def _apply(self, change: Change) -> None:
        kind, context, label = change
        for part in (self._sets, self.pairs):
            part.add(context, label) if kind == "add" else part.drop(context, label)
