"""The engine on stored scores, as fast as the policy alone, in the video's own time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.arrays import Mask
from polymorph_ros.bundle.manifest import Manifest, OperatingPoint
from polymorph_ros.data.average_precision import mean_average_precision
from polymorph_ros.data.frame import Frame
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.meter import open_meter
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.runtime.engine import Engine
from polymorph_ros.runtime.operating_points import Table
from polymorph_ros.runtime.settings import EngineSettings
from polymorph_ros.training.frames import LabelledFrames
from polymorph_ros.training.score_replay import StoredModel, row_image


@dataclass(frozen=True)
class EngineReplay:
    """What an engine said of frames.

    Attributes:
        scores: float32 (frames, labels).
        active: bool (frames, labels).
        adapters: that ran, over all frames.
        computed: frames that were not reused.
    """

    scores: NDArray[np.float32]
    active: Mask
    adapters: int
    computed: int

    def mean_ap(self, frames: LabelledFrames) -> float:
        """Against the frames' truth; NaN where no label is there."""
        return mean_average_precision(self.scores, frames.truth)


def replay_engine(
    model: StoredModel,
    manifest: Manifest,
    frames: LabelledFrames,
    point: OperatingPoint | None = None,
) -> EngineReplay:
    """Step an engine over all frames; each sequence starts anew, unknown scenes are not judged.

    Args:
        model: the scores of these frames.
        manifest: with the entry for reuse, if results may be reused.
        frames: the frames.
        point: at which the governor stays.
    """
    longest_s = manifest.reuse.max_age_s if manifest.reuse else 0.0
    now_s = 0.0  # the video's own time: what is measured must not depend on the machine
    engine = Engine(
        cast(PolymorphModel, model),
        manifest,
        EnergyLedger(open_meter("none")),
        EngineSettings(reuse_s=longest_s, detect_unknown_scenes=False),
        table=Table((point or OperatingPoint(),)),
        clock=lambda: now_s,
    )
    scores = np.empty(frames.truth.shape, np.float32)
    active = np.empty(frames.truth.shape, np.bool_)
    adapters, computed = 0, 0
    for part in frames.slices():
        engine.reset()
        begun_s = now_s
        for row in range(part.start, part.stop):
            now_s = begun_s + float(frames.stamps_s[row])
            stamp_ns = round(float(frames.stamps_s[row]) * 1e9)
            result = engine.step(Frame(row_image(row), stamp_ns))
            scores[row], active[row] = result.score_array, result.active_mask
            adapters += len(result.cover.adapters)
            computed += not result.reused
    return EngineReplay(scores, active, adapters, computed)
