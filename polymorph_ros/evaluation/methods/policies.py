"""Policies that differ from Polymorph's in one thing, to see what that thing is worth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.runtime.cover import cheapest_cover
from polymorph_ros.runtime.knowledge import Knowledge
from polymorph_ros.runtime.policy import Policy
from polymorph_ros.runtime.result import Cover
from polymorph_ros.runtime.thresholds import Thresholds

_KEPT = 0.9  # price of an adapter that ran already: of covers of equal size the last one stays


class AllAdapters(Policy):
    """Every adapter runs for every frame."""

    def __init__(self, knowledge: Knowledge, thresholds: Thresholds) -> None:
        super().__init__(knowledge, thresholds)
        self._every = tuple(range(len(knowledge.contexts)))

    def select(self, limit: int = 0) -> Cover:
        return Cover(self._every, changed=False, reason="every adapter")


class OracleCover(Policy):
    """The cover is chosen for the labels that are true: no policy can choose better adapters.

    Args:
        truth: int8 (labels,), changed from outside before each frame; unknown counts as absent.
    """

    def __init__(
        self, knowledge: Knowledge, thresholds: Thresholds, truth: NDArray[np.int8]
    ) -> None:
        super().__init__(knowledge, thresholds)
        self._truth = truth
        self._last: tuple[int, ...] = ()

    def select(self, limit: int = 0) -> Cover:
        prices = np.ones(len(self._knowledge.contexts))
        prices[list(self._last)] = _KEPT
        chosen = cheapest_cover(self._knowledge.contexts_of_label, self._truth == 1, prices)
        changed, self._last = chosen != self._last, chosen
        return Cover(chosen, changed, "the true labels")
