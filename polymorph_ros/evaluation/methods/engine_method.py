"""Methods that are engines: Polymorph itself, and its variants."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.data.frame import Frame
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.meter import open_meter
from polymorph_ros.evaluation.methods.method import Labelled
from polymorph_ros.evaluation.methods.policies import OracleCover
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.runtime.engine import Engine, MakePolicy
from polymorph_ros.runtime.policy import Policy
from polymorph_ros.runtime.result import FrameResult
from polymorph_ros.runtime.settings import EngineSettings

AS_THE_NODE = EngineSettings(reuse_s=1.0)  # the node's own defaults


class EngineMethod:
    """Runs every frame through an engine of its own.

    Args:
        name: what tables call it.
        model: the bundle's, or one that runs adapters otherwise.
        bundle: whose manifest the engine goes by.
        make_policy: what chooses adapters and believes their answers.
        settings: of the engine.
        remembers: whether anything is reused from one frame to the next.
    """

    def __init__(
        self,
        name: str,
        model: PolymorphModel,
        bundle: Bundle,
        make_policy: MakePolicy = Policy,
        *,
        settings: EngineSettings = AS_THE_NODE,
        remembers: bool = True,
    ) -> None:
        self.name = name
        # the evaluation measures energy from outside, for all methods alike
        ledger = EnergyLedger(open_meter("none"))
        self.engine = Engine(model, bundle.manifest, ledger, settings, make_policy=make_policy)
        self._remembers = remembers

    def reset(self) -> None:
        self.engine.reset()

    def label(self, frame: Frame, truth: NDArray[np.int8]) -> Labelled:
        if not self._remembers:
            self.engine.reset()
        return labelled(self.engine.step(frame))


class OracleCoverMethod:
    """Polymorph whose adapters are chosen for the true labels."""

    def __init__(self, name: str, model: PolymorphModel, bundle: Bundle) -> None:
        self.name = name
        truth = np.zeros(len(model.labels), np.int8)
        self._truth = truth
        self._method = EngineMethod(
            name,
            model,
            bundle,
            lambda knowledge, thresholds: OracleCover(knowledge, thresholds, truth),
        )

    def reset(self) -> None:
        self._method.reset()

    def label(self, frame: Frame, truth: NDArray[np.int8]) -> Labelled:
        self._truth[:] = truth
        return self._method.label(frame, truth)


def labelled(result: FrameResult) -> Labelled:
    """An engine's result as any method's."""
    return Labelled(
        scores=result.score_array,
        active=result.active_mask,
        adapters=result.adapters,
        adapters_changed=result.cover.changed,
        stage_seconds=result.stage_seconds,
        result=result,
    )
