"""Run labelled frames through the engine, as the node would."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from polymorph_ros.data.frame import Frame
from polymorph_ros.runtime.engine import Engine
from polymorph_ros.runtime.result import FrameResult
from polymorph_ros.training.frames import LabelledFrames


def rehearse(engine: Engine, frames: LabelledFrames) -> Iterator[FrameResult]:
    """The engine's result for each frame in order; each sequence starts anew."""
    for part in frames.slices():
        engine.reset()
        for index in range(part.start, part.stop):
            stamp_ns = round(float(frames.stamps_s[index]) * 1e9)
            yield engine.step(Frame(np.asarray(frames.images[index]), stamp_ns))
