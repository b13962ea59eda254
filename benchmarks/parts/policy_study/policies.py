"""What Polymorph's policy is measured against; all but one share its beliefs and thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from polymorph_ros.arrays import Floats, Mask
from polymorph_ros.contexts.presence import true_presence
from polymorph_ros.data.track import Track
from polymorph_ros.runtime.cover import cheapest_cover
from polymorph_ros.runtime.knowledge import Knowledge
from polymorph_ros.runtime.policy import Policy
from polymorph_ros.runtime.result import Cover


class Contender(Protocol):
    """What the benchmark drives: the engine's way of using a policy.

    Attributes:
        holds_on: whether a label that is active stays so down to the threshold `off`.
    """

    holds_on: bool

    @property
    def active(self) -> Mask: ...

    @property
    def label_belief(self) -> Floats: ...

    def begin(self, track: Track) -> None:
        """Start a sequence anew."""

    def update_from_scout(
        self, stamp_ns: int, label_scores: ArrayLike, context_scores: ArrayLike
    ) -> None: ...

    def select(self) -> Cover: ...

    def update_from_adapters(
        self, adapters: tuple[int, ...], answers: Sequence[ArrayLike]
    ) -> object: ...


class Polymorph(Policy):
    """The policy as it runs on a robot."""

    holds_on = True

    def begin(self, track: Track) -> None:
        self.reset()


class AllAdapters(Polymorph):
    """Every adapter, always."""

    def select(self, limit: int = 0) -> Cover:
        return _cover(range(len(self._knowledge.contexts)))


class OracleCover(Polymorph):
    """The smallest cover of the true labels; of those, one of contexts that are truly there."""

    def begin(self, track: Track) -> None:
        super().begin(track)
        members = self._knowledge.members
        there = true_presence(track, members)
        self._frames = iter(zip(track.truth == 1, there, strict=True))

    def select(self, limit: int = 0) -> Cover:
        present, there = next(self._frames)
        # The likelier contexts are cheaper by less than one adapter in any cover of ten.
        return _cover(cheapest_cover(self._knowledge.contexts_of_label, present, 1.1 - 0.1 * there))


class PeriodicScan(Polymorph):
    """Every adapter in every N-th frame, and a cover of the active labels between."""

    every = 10

    def begin(self, track: Track) -> None:
        super().begin(track)
        self._frame = -1

    def select(self, limit: int = 0) -> Cover:
        self._frame += 1
        if self._frame % self.every == 0:
            return _cover(range(len(self._knowledge.contexts)))
        prices = 1.1 - 0.1 * self.context_belief
        return _cover(cheapest_cover(self._knowledge.contexts_of_label, self.active, prices))


class FixedContext(Polymorph):
    """The adapter of the context that is there most often in training, always."""

    def select(self, limit: int = 0) -> Cover:
        return _cover([int(self._knowledge.context_dynamics.prior.argmax())])


class RandomContexts(Polymorph):
    """Contexts drawn anew for each frame.

    Args:
        knowledge: whose contexts.
        mean: how many, on average; as many as Polymorph took.
    """

    def __init__(self, knowledge: Knowledge, mean: float) -> None:
        super().__init__(knowledge)
        self._mean = mean

    def begin(self, track: Track) -> None:
        super().begin(track)
        self._rng = np.random.default_rng(len(track.stamps_s))

    def select(self, limit: int = 0) -> Cover:
        contexts = len(self._knowledge.contexts)
        count = int(self._mean + self._rng.random())
        drawn = self._rng.permutation(contexts)[: min(count, contexts)]
        return _cover(drawn.tolist())


class LastFrame:
    """No filter: a label is active while its score of this frame is above a threshold.

    The cover is that of the labels that were active in the last frame. A label's score is
    ``P(context) P(label | context) + (1 - P(context)) P_scout(label)`` where an adapter ran.
    """

    holds_on = False

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self._on = knowledge.thresholds.on
        self.begin()

    def begin(self, track: Track | None = None) -> None:
        labels, contexts = len(self._knowledge.labels), len(self._knowledge.contexts)
        self._scores: Floats = np.zeros(labels)
        self._presence: Floats = np.zeros(contexts)
        self._active: Mask = np.zeros(labels, dtype=np.bool_)

    @property
    def active(self) -> Mask:
        return self._active

    @property
    def label_belief(self) -> Floats:
        return self._scores

    def update_from_scout(
        self, stamp_ns: int, label_scores: ArrayLike, context_scores: ArrayLike
    ) -> None:
        self._scores = np.asarray(label_scores, dtype=np.float64).copy()
        self._presence = np.asarray(context_scores, dtype=np.float64)

    def select(self) -> Cover:
        prices = 1.1 - 0.1 * self._presence
        return _cover(cheapest_cover(self._knowledge.contexts_of_label, self._active, prices))

    def update_from_adapters(self, adapters: tuple[int, ...], answers: Sequence[ArrayLike]) -> None:
        for adapter, answer in zip(adapters, answers, strict=True):
            labels, here = list(self._knowledge.contexts[adapter]), self._presence[adapter]
            self._scores[labels] *= 1.0 - here
            self._scores[labels] += here * np.asarray(answer)
        self._active = self._scores >= self._on


def _cover(adapters: Sequence[int] | NDArray[np.int64]) -> Cover:
    return Cover(tuple(sorted(int(adapter) for adapter in adapters)), False, "")
