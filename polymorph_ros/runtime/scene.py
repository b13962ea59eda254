"""Whether a frame's scene is one that training knew, and what that means for its scores."""

from __future__ import annotations

import math
from dataclasses import dataclass

UNKNOWN_SCENE_TRUST = 0.25


@dataclass(frozen=True)
class Scene:
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


NOT_JUDGED = Scene(novelty=math.nan, trust=1.0)


def judge(distance: float, threshold: float) -> Scene:
    """Judge a scene by its distance.

    Scores are calibrated for scenes like those of training. Elsewhere a trained network is
    often wrong and sure of it, so the belief takes a smaller share of their evidence.

    Args:
        distance: of the trunk's feature; one that is not finite counts as infinitely far.
        threshold: of the bundle, above 0.
    """
    if not math.isfinite(distance):
        return Scene(novelty=1.0, trust=UNKNOWN_SCENE_TRUST)
    ratio = distance / threshold
    novelty = 1.0 - 1.0 / (1.0 + ratio * ratio)
    return Scene(novelty, UNKNOWN_SCENE_TRUST if novelty > 0.5 else 1.0)
