"""An object that stands, walks or drives in a place."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.synthetic.backgrounds import Span
from polymorph_ros.data.synthetic.objects import KINDS, Motion, draw_sprite, silhouette
from polymorph_ros.data.synthetic.pen import PAD

_LEVELS = 4  # sprite sizes, each half of the one before


@dataclass(frozen=True)
class Looks:
    """How one instance looks at several sizes.

    Attributes:
        sprites: premultiplied uint8 RGBA, each half the size of the one before.
        mask: the silhouette, uint8 0 or 1, at half the first sprite's size.
    """

    sprites: tuple[NDArray[np.uint8], ...]
    mask: NDArray[np.uint8]


def draw_looks(label: str, rng: np.random.Generator) -> Looks:
    """Draw a new instance of the label."""
    sprites = [draw_sprite(label, rng)]
    mask = (silhouette(sprites[0])[::2, ::2] > 0).astype(np.uint8)
    for _ in range(_LEVELS - 1):
        height, width = sprites[-1].shape[:2]
        half = cv2.resize(sprites[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        sprites.append(np.asarray(half, np.uint8))
    return Looks(tuple(sprites), mask)


@dataclass(frozen=True)
class Thing:
    """An object in a place.

    Attributes:
        x: the centre's place along the strip, in units, at the visit's start.
        base: where it stands, in units from the picture's top.
        height: in units.
        looks: how it is drawn.
        parallax: how much faster than the wall it passes; 1 at the wall.
        speed: units per second of its own; negative is to the left, and the sign of what stands
            still says which way it faces.
        range: between which x it moves.
    """

    label: str
    x: float
    base: float
    height: float
    looks: Looks
    parallax: float = 1.0
    motion: Motion = Motion.STILL
    speed: float = 1.0
    range: Span = (0.0, 0.0)

    @property
    def half_width(self) -> float:
        """Units from the centre to either end."""
        return self.height * KINDS[self.label].aspect / 2

    def position(self, t: float) -> float:
        """The centre's x at ``t`` seconds."""
        low, high = self.range
        reach = self.speed * t
        if self.motion is Motion.DRIVE:
            return low + (self.x + reach - low) % (high - low)
        if self.motion is Motion.STROLL:
            span = high - low
            phase = (self.x + abs(reach) - low) % (2 * span)
            return low + (phase if phase < span else 2 * span - phase)
        return self.x

    def faces_left(self, t: float) -> bool:
        """Whether the sprite, drawn facing right, must be mirrored at ``t`` seconds."""
        if self.motion is Motion.STROLL:
            low, high = self.range
            return (self.x + abs(self.speed * t) - low) % (2 * (high - low)) >= high - low
        return self.speed < 0

    def placed(self, t: float, pixels: float) -> NDArray[np.float64]:
        """(2, 3) map from pixels of a sprite with ``pixels`` per unit height to strip units."""
        scale = self.height / pixels
        middle = (KINDS[self.label].aspect / 2 + PAD) * pixels
        across = -scale if self.faces_left(t) else scale
        # the sprite's width must not be stretched by the parallax of its position
        across /= self.parallax
        return np.array(
            [
                [across, 0.0, self.position(t) - across * middle],
                [0.0, scale, self.base - scale * (1 + PAD) * pixels],
            ]
        )
