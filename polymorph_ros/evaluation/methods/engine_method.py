"""A method that is an engine: Polymorph itself, or with another policy or other adapters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.data.frame import Frame
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.meter import open_meter
from polymorph_ros.evaluation.methods.method import Labelled
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.runtime.engine import Engine, MakePolicy, RunAdapters
from polymorph_ros.runtime.policy import Policy
from polymorph_ros.runtime.result import FrameResult
from polymorph_ros.runtime.settings import EngineSettings

AS_THE_NODE = EngineSettings(reuse_s=1.0)  # the node's own defaults


class EngineMethod:
    """Runs every frame through an engine of its own.

    Args:
        name: what tables call it.
        model: the bundle's.
        bundle: whose manifest the engine goes by.
        make_policy: what chooses adapters and believes their answers.
        settings: of the engine.
        run_adapters: how adapters are run; else composed, as the model does.
    """

    def __init__(
        self,
        name: str,
        model: PolymorphModel,
        bundle: Bundle,
        make_policy: MakePolicy = Policy,
        *,
        settings: EngineSettings = AS_THE_NODE,
        run_adapters: RunAdapters | None = None,
    ) -> None:
        self.name = name
        # the evaluation measures energy from outside, for all methods alike
        ledger = EnergyLedger(open_meter("none"))
        self.engine = Engine(
            *(model, bundle.manifest, ledger, settings),
            make_policy=make_policy,
            run_adapters=run_adapters,
        )

    def reset(self) -> None:
        self.engine.reset()

    def label(self, frame: Frame, truth: NDArray[np.int8]) -> Labelled:
        return labelled(self.engine.step(frame))


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
