"""Whether a frame's scene is one that training knew, and what that means for its scores."""

from __future__ import annotations

import math
from dataclasses import dataclass

LEAST_TRUST = 0.1
"""Of a frame that is far from everything in training."""
_STEEPNESS = 6  # 1.5 times the threshold leaves a tenth: docs/lab/reuse-and-unknown-scenes.md
_MEMORY_S = 0.5  # long enough that no single frame makes a scene, short beside a stay in one
_NEAREST = 1e-6


@dataclass(frozen=True)
class SceneNovelty:
    """What is said of one frame's scene.

    Attributes:
        novelty: in [0, 1]: 0 at the centre of what training saw, 0.5 at the bundle's threshold,
            towards 1 far from everything; NaN where it was not judged.
        trust: share of its scores' evidence that the belief takes.
    """

    novelty: float
    trust: float

    @property
    def unknown(self) -> bool:
        """Whether it is farther than the bundle's threshold."""
        return self.novelty > 0.5


NOT_JUDGED = SceneNovelty(novelty=math.nan, trust=1.0)


class DistanceFilter:
    """The distances of one camera's last frames, as one: a scene lasts longer than a frame.

    A mean of logarithms that forgets with a time constant of half a second: a frame counts by the
    time since the last one, the first in full.
    """

    def __init__(self) -> None:
        self._level: float | None = None
        self._time_ns = 0

    def take(self, time_ns: int, distance: float) -> float:
        """The distance of the last frames, this one included.

        Infinite, and this frame alone, where its distance is not finite. A time before the last
        one starts anew.

        Args:
            time_ns: the frame's time: its stamp, or as ``TimeBase`` gives it.
            distance: of its features from those of training.
        """
        if not math.isfinite(distance):
            return math.inf
        level = math.log(max(distance, _NEAREST))
        elapsed_s = (time_ns - self._time_ns) * 1e-9
        if self._level is not None and elapsed_s >= 0:
            level += (self._level - level) * math.exp(-elapsed_s / _MEMORY_S)
        self._level, self._time_ns = level, time_ns
        return math.exp(level)


def judge(distance: float, threshold: float) -> SceneNovelty:
    """Judge a scene by its distance.

    Scores are calibrated for scenes like those of training. Elsewhere a trained network is
    often wrong and sure of it, so the belief takes a smaller share of their evidence: all of it at
    the threshold, ``(threshold / distance) ** 6`` beyond.

    Args:
        distance: of the last frames' features; one that is not finite counts as infinitely far.
        threshold: of the bundle, above 0.
    """
    if not math.isfinite(distance):
        return SceneNovelty(novelty=1.0, trust=LEAST_TRUST)
    ratio = distance / threshold
    novelty = 1.0 - 1.0 / (1.0 + ratio * ratio)
    return SceneNovelty(novelty, max(LEAST_TRUST, ratio**-_STEEPNESS) if novelty > 0.5 else 1.0)
