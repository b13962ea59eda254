"""A pen that draws one object as a shaded, premultiplied RGBA sprite in unit coordinates."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

SPRITE_PIXELS = 224  # pixels of one unit, the height of an object; twice what most views show
PAD = 0.05  # empty border in units: room for shadows and smooth edges
_RIM = 0.72  # how dark an outline is
_SHIFT = 4  # OpenCV draws at 1/16 pixel

Colour = tuple[int, int, int]
Points = Sequence[tuple[float, float]]


def pick(rng: np.random.Generator, colours: Sequence[Colour], spread: float = 0.12) -> Colour:
    """One of the colours (RGB), brightened and tinted at random by about ``spread``."""
    base = np.asarray(colours[int(rng.integers(len(colours)))], np.float64)
    varied = base * rng.normal(1.0, spread) + rng.normal(0.0, 60 * spread, 3)
    red, green, blue = (int(value) for value in np.clip(varied, 4, 251))
    return red, green, blue


def shade(colour: Colour, factor: float) -> Colour:
    """The colour, darker (< 1) or lighter (> 1)."""
    red, green, blue = (int(min(255, max(0, value * factor))) for value in colour)
    return red, green, blue


class Pen:
    """Draws in units: x to the right, y down, the object between (0, 0) and (aspect, 1).

    The canvas is uint8 RGBA with premultiplied alpha, so that edges blend right wherever the
    sprite is laid.
    """

    def __init__(self, aspect: float, pixels: float = SPRITE_PIXELS, pad: float = PAD) -> None:
        self.aspect = aspect
        self.pixels = pixels
        self.pad = pad
        height = round((1 + 2 * pad) * pixels)
        width = round((aspect + 2 * pad) * pixels)
        self.image: NDArray[np.uint8] = np.zeros((height, width, 4), np.uint8)

    def _fixed(self, points: Points) -> NDArray[np.int32]:
        scaled = (np.asarray(points, np.float64) + self.pad) * self.pixels * (1 << _SHIFT)
        return np.round(scaled).astype(np.int32)

    def _width(self, width: float) -> int:
        return max(1, round(width * self.pixels))

    def poly(self, points: Points, colour: Colour, alpha: int = 255) -> None:
        """A filled polygon; ``alpha`` from 0 to 255."""
        cv2.fillPoly(self.image, [self._fixed(points)], (*colour, alpha), cv2.LINE_AA, _SHIFT)

    def rect(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """A filled rectangle between two corners."""
        self.poly([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)

    def box(
        self, x0: float, y0: float, x1: float, y1: float, colour: Colour, radius: float
    ) -> None:
        """A rectangle with round corners."""
        radius = min(radius, (x1 - x0) / 2, (y1 - y0) / 2)
        turn = np.linspace(0, np.pi / 2, 6)
        corners = (
            (x1 - radius, y0 + radius, -np.pi / 2),
            (x1 - radius, y1 - radius, 0.0),
            (x0 + radius, y1 - radius, np.pi / 2),
            (x0 + radius, y0 + radius, np.pi),
        )
        points = [
            (x + radius * float(np.cos(start + t)), y + radius * float(np.sin(start + t)))
            for x, y, start in corners
            for t in turn
        ]
        self.poly(points, colour)

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, colour: Colour, alpha: int = 255
    ) -> None:
        """A filled ellipse around (x, y) with two radii; ``alpha`` from 0 to 255."""
        turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        points = [(x + rx * float(np.cos(t)), y + ry * float(np.sin(t))) for t in turn]
        self.poly(points, colour, alpha)

    def line(self, points: Points, width: float, colour: Colour) -> None:
        """A stroke with round ends and joints."""
        fixed = self._fixed(points)
        cv2.polylines(
            self.image, [fixed], False, (*colour, 255), self._width(width), cv2.LINE_AA, _SHIFT
        )

    def ring(self, x: float, y: float, radius: float, width: float, colour: Colour) -> None:
        """A circle's line around (x, y)."""
        centre = self._fixed([(x, y)])[0]
        length = round(radius * self.pixels * (1 << _SHIFT))
        cv2.circle(
            self.image,
            (int(centre[0]), int(centre[1])),
            length,
            (*colour, 255),
            self._width(width),
            cv2.LINE_AA,
            _SHIFT,
        )

    def stripes(
        self,
        box: tuple[float, float, float, float],
        count: int,
        colour: Colour,
        *,
        width: float = 0.012,
        upright: bool = True,
    ) -> None:
        """``count`` evenly spaced strokes inside the box (x0, y0, x1, y1)."""
        x0, y0, x1, y1 = box
        for part in (np.arange(count) + 1) / (count + 1):
            if upright:
                x = x0 + (x1 - x0) * float(part)
                self.line([(x, y0), (x, y1)], width, colour)
            else:
                y = y0 + (y1 - y0) * float(part)
                self.line([(x0, y), (x1, y)], width, colour)

    def shadow(self) -> None:
        """A soft spot on the ground; call it first."""
        self.ellipse(self.aspect / 2, 0.985, self.aspect * 0.5, 0.035, (0, 0, 0), 90)

    def finish(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Shade what was drawn: light from one side and above, mottling, a darker rim."""
        height, width = self.image.shape[:2]
        cells = max(2, round(18 * width / height))
        side = rng.uniform(-0.2, 0.2)
        light = np.linspace(1 - side, 1 + side, cells)[None, :] * rng.normal(1.0, 0.05, (18, cells))
        light = light * np.linspace(1.08, 0.86, 18)[:, None]
        # an 8-bit factor of which 160 is 1, so that OpenCV multiplies without floats
        coarse = np.clip(160 * light, 0, 255).astype(np.uint8)
        factor = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
        alpha = np.ascontiguousarray(self.image[:, :, 3])
        inside = cv2.erode(alpha, np.ones((5, 5), np.uint8))
        factor[inside < alpha] = (factor[inside < alpha] * _RIM).astype(np.uint8)
        factors = cv2.merge([factor, factor, factor, np.full_like(factor, 160)])
        shaded = cv2.multiply(self.image, factors, scale=1 / 160)
        # premultiplied colour can never exceed its alpha
        self.image = cv2.min(shaded, cv2.merge([alpha] * 4)).astype(np.uint8, copy=False)
        return self.image
