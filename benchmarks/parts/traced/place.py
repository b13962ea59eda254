"""Where a sequence happens: a drawn background, wider than the view, over which it sways."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_MARGIN = 1.4  # the background is so much larger than the view


class Place:
    """The background of one sequence.

    Args:
        size: width and height of the view, pixels.
        rng: decides everything about it.
    """

    def __init__(self, size: tuple[int, int], rng: np.random.Generator) -> None:
        self._size = size
        self._canvas = _canvas(size, rng)
        self._period_s = rng.uniform(15, 40, 2)
        self._phase = rng.uniform(0, 2 * np.pi, 2)

    def view(self, t: float) -> NDArray[np.uint8]:
        """What the camera sees of it at ``t`` seconds: a new RGB picture (height, width, 3)."""
        width, height = self._size
        rows, columns = self._canvas.shape[:2]
        sway = 0.5 + 0.5 * np.sin(2 * np.pi * t / self._period_s + self._phase)
        x, y = round(sway[0] * (columns - width)), round(sway[1] * (rows - height))
        return self._canvas[y : y + height, x : x + width].copy()


def _canvas(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Cloudy colour, some large flat surfaces, fine grain."""
    width, height = (round(side * _MARGIN) for side in size)
    base = rng.uniform(60, 190) + rng.normal(0, 22, 3)
    clouds = base + rng.normal(0, 20, (5, 6, 3))
    canvas = cv2.resize(clouds, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(int(rng.integers(3, 8))):
        colour = np.clip(base + rng.normal(0, 38, 3), 0, 255)
        corners = rng.uniform(-0.2, 1.2, (4, 2)) * (width, height)
        hull = cv2.convexHull(corners.astype(np.float32)).astype(np.int32)
        layer = canvas.copy()
        cv2.fillPoly(layer, [hull], tuple(colour.tolist()))
        canvas = cv2.addWeighted(canvas, 0.45, layer, 0.55, 0)
    canvas = canvas + rng.normal(0, 5, (height, width, 1))
    return np.asarray(np.clip(canvas, 0, 255), dtype=np.uint8)
