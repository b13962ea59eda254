"""A method: anything that labels the frames of a sequence one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.frame import Frame
from polymorph_ros.runtime.result import FrameResult


@dataclass(frozen=True)
class Labelled:
    """What a method says about one frame.

    Attributes:
        scores: float32 (labels,), in [0, 1].
        active: bool (labels,), the labels that count as present.
        adapters: names of the adapters that ran.
        adapters_changed: whether they differ from the last frame's.
        stage_seconds: seconds of each stage.
        result: the engine's own words, where an engine stands behind the method.
    """

    scores: NDArray[np.float32]
    active: NDArray[np.bool_]
    adapters: tuple[str, ...]
    adapters_changed: bool
    stage_seconds: Mapping[str, float]
    result: FrameResult | None = None


class Method(Protocol):
    """Labels frames; what it costs is measured from outside."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def reset(self) -> None:
        """Forget everything: another sequence begins."""
        ...

    def label(self, frame: Frame, truth: NDArray[np.int8]) -> Labelled:
        """Label one frame.

        Args:
            frame: the next of its sequence.
            truth: int8 (labels,) of this frame. Only an oracle may look at it.
        """
        ...
