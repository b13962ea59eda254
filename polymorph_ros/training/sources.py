"""Which stages make the frames of each part: scenes are rendered, recordings decoded."""

from __future__ import annotations

from dataclasses import dataclass

from polymorph_ros.training.config import TrainConfig
from polymorph_ros.training.scenes import ScenesStage
from polymorph_ros.training.stages import Stage


@dataclass(frozen=True)
class FrameStages:
    """The stages that make labelled frames, all over one vocabulary."""

    train: Stage
    validation: Stage
    test: Stage


def frame_stages(config: TrainConfig) -> FrameStages:
    """The stages for a configuration's frames."""
    assert config.scenes is not None
    return FrameStages(
        ScenesStage(config.scenes, "train", config.seed),
        ScenesStage(config.scenes, "validation", config.seed),
        ScenesStage(config.scenes, "test", config.seed),
    )
