"""What a frame looks like, and what a bundle says of it: features, scores and whether it knows it.

Frames are taken one by one, not as a stream: they are shown in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from polymorph_ros.arrays import Image
from polymorph_ros.data.frame import Frame
from polymorph_ros.runtime.views import uncertainty

_GRID = 8  # of the features without a bundle

Features = NDArray[np.float32]


@dataclass(frozen=True)
class Look:
    """What is known of one frame.

    Attributes:
        features: float32 (D,), comparable between frames of the same source.
        scores: float32 (labels,), the bundle's beliefs; empty without a bundle.
        active: numbers of the bundle's labels that it takes for present.
        uncertainty: in [0, 1].
        unknown: whether the bundle takes it for an unknown scene.
    """

    features: Features
    scores: NDArray[np.float32]
    active: tuple[int, ...]
    uncertainty: float
    unknown: bool


class Eye(Protocol):
    """Looks at frames, in one thread."""

    def look(self, image: Image) -> Look:
        """All that can be said of a picture."""
        ...


class PlainEye:
    """Without a bundle: frames are compared by their colours on a coarse grid."""

    def look(self, image: Image) -> Look:
        """Features only."""
        small = cv2.resize(image, (_GRID, _GRID), interpolation=cv2.INTER_AREA)
        features = small.astype(np.float32).reshape(-1) / 255.0 - 0.5
        return Look(features, np.empty(0, np.float32), (), 1.0, False)


class BundleEye:
    """With a bundle: the trunk's features, and the engine's answer to a single frame.

    Args:
        bundle: its folder.
        device: where it computes.

    Raises:
        PolymorphError: the bundle or the device is not as it must be.
    """

    def __init__(self, bundle: str, device: str = "auto") -> None:
        # Imported here: torch takes seconds, and the page opens without it.
        from polymorph_ros.labeller import load

        self._labeller = load(
            bundle, device=device, meter="none", reuse_s=0.0, pooled_features=True
        )

    def look(self, image: Image) -> Look:
        """Run the engine as on the first frame of a stream."""
        self._labeller.reset()
        result = self._labeller.engine.step(Frame(image, 0, "frame"))
        assert result.feature is not None
        return Look(
            result.feature,
            result.score_array,
            result.active_indices,
            uncertainty(result.score_array),
            result.unknown_scene.unknown,
        )
