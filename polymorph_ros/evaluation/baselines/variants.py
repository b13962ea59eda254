"""Polymorph with one part changed, to see what that part is worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.data.frame import Frame
from polymorph_ros.evaluation.baselines.entry import Entry, Source
from polymorph_ros.evaluation.methods.engine_method import AS_THE_NODE, EngineMethod
from polymorph_ros.evaluation.methods.method import Labelled
from polymorph_ros.model.polymorph import PolymorphModel, Scores
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
        truth: gives int8 (labels,) of the frame that is labelled; unknown counts as absent.
    """

    def __init__(
        self, knowledge: Knowledge, thresholds: Thresholds, truth: Callable[[], NDArray[np.int8]]
    ) -> None:
        super().__init__(knowledge, thresholds)
        self._truth = truth
        self._last: tuple[int, ...] = ()

    def select(self, limit: int = 0) -> Cover:
        prices = np.ones(len(self._knowledge.contexts))
        prices[list(self._last)] = _KEPT
        chosen = cheapest_cover(self._knowledge.contexts_of_label, self._truth() == 1, prices)
        changed, self._last = chosen != self._last, chosen
        return Cover(chosen, changed, "the true labels")


class OracleMethod(EngineMethod):
    """Polymorph with an oracle's cover."""

    def __init__(self, name: str, model: PolymorphModel, bundle: Bundle) -> None:
        super().__init__(name, model, bundle, self._policy)

    def _policy(self, knowledge: Knowledge, thresholds: Thresholds) -> OracleCover:
        return OracleCover(knowledge, thresholds, lambda: self._truth)

    def label(self, frame: Frame, truth: NDArray[np.int8]) -> Labelled:
        self._truth = truth
        return super().label(frame, truth)


class UngatedModel(PolymorphModel):
    """Adapters' scores count in full, however unlikely their context is: P(context) is 1."""

    def scout(self, tokens: Tensor) -> tuple[Scores, Scores]:
        labels, contexts = super().scout(tokens)
        return labels, np.ones_like(contexts)


class ForgetfulMethod(EngineMethod):
    """Every frame is the first of its sequence."""

    def label(self, frame: Frame, truth: NDArray[np.int8]) -> Labelled:
        self.reset()
        return super().label(frame, truth)


def _all_adapters(name: str, source: Source) -> EngineMethod:
    return EngineMethod(name, source.model(), source.bundle, AllAdapters)


def _oracle_cover(name: str, source: Source) -> OracleMethod:
    return OracleMethod(name, source.model(), source.bundle)


def _no_gating(name: str, source: Source) -> EngineMethod:
    model = UngatedModel.from_bundle(source.bundle, source.device)
    return EngineMethod(name, model, source.bundle)


def _no_filter(name: str, source: Source) -> ForgetfulMethod:
    return ForgetfulMethod(name, source.model(), source.bundle)


def _no_reuse(name: str, source: Source) -> EngineMethod:
    settings = replace(AS_THE_NODE, reuse_s=0.0)
    return EngineMethod(name, source.model(), source.bundle, settings=settings)


BASELINES = (
    Entry("all_adapters", "composed, every adapter for every frame", _all_adapters),
    Entry("oracle_cover", "the true labels choose the adapters", _oracle_cover),
    Entry("polymorph_no_gating", "adapters' scores without P(context)", _no_gating),
    Entry("polymorph_no_filter", "every frame on its own: no belief over time", _no_filter),
    Entry("polymorph_no_reuse", "every picture computed, also unchanged ones", _no_reuse),
)
