"""The rotating probe: now and then one further adapter looks for what the scout misses."""

from __future__ import annotations

import numpy as np

from polymorph_ros.arrays import Floats, Mask
from polymorph_ros.runtime.belief import LEAST
from polymorph_ros.runtime.knowledge import Knowledge

_FORGET_S = 30.0  # what an adapter has said is old after this long


class Probe:
    """Chooses the adapter with most expected information per cost, at a share of the work.

    The information of an adapter is taken to be the entropy of its labels that are not covered.
    An adapter that has just run has little to add, so the probe goes round.

    Args:
        knowledge: contexts and costs.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self._pairs = knowledge.pairs
        self._costs = knowledge.costs
        self._since_s = np.full(len(self._costs), np.inf)
        self._credit = 0.0

    def wait(self, elapsed_s: float) -> None:
        """Let time pass."""
        self._since_s += elapsed_s

    def note(self, adapters: list[int]) -> None:
        """Take notice of the adapters that ran."""
        self._since_s[adapters] = 0.0

    def select(self, belief: Floats, cover: tuple[int, ...], covered: Mask, share: float) -> int:
        """One further adapter for this frame, or -1.

        Args:
            belief: of labels.
            cover: the adapters that run anyway.
            covered: the labels that they cover.
            share: of the adapters' work that goes into probes, in [0, 1); a frame that needs no
                adapter counts as one with an average one.
        """
        if share <= 0.0:
            return -1
        work = max(float(self._costs[list(cover)].sum()), float(self._costs.mean()))
        most = float(self._costs.max())
        self._credit = min(self._credit + work * share / (1.0 - share), 2.0 * most)
        if self._credit < float(self._costs.min()):
            return -1
        chance = np.clip(belief, LEAST, 1.0 - LEAST)
        entropy = -chance * np.log(chance) - (1.0 - chance) * np.log1p(-chance)
        information = self._pairs.by_context(np.where(covered, 0.0, entropy))
        novelty = -np.expm1(-self._since_s / _FORGET_S)
        worth = information * novelty / self._costs
        worth[list(cover)] = 0.0
        best = int(worth.argmax())
        if worth[best] <= 0.0 or self._costs[best] > self._credit:
            return -1
        self._credit -= float(self._costs[best])
        return best
