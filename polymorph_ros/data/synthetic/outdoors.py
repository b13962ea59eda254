"""How vehicles, street furniture and trees look."""

from __future__ import annotations

import numpy as np

from polymorph_ros.data.synthetic.pen import Colour, Pen, pick, shade

PAINT: tuple[Colour, ...] = (
    (190, 40, 40),
    (40, 80, 160),
    (225, 226, 228),
    (60, 62, 68),
    (60, 130, 90),
    (170, 176, 182),
)
GLASS: Colour = (130, 170, 196)


def _wheel(pen: Pen, x: float, y: float, radius: float) -> None:
    pen.ellipse(x, y, radius, radius, (24, 24, 26))
    pen.ellipse(x, y, radius * 0.55, radius * 0.55, (176, 178, 182))
    pen.ellipse(x, y, radius * 0.2, radius * 0.2, (60, 60, 64))


def car(pen: Pen, rng: np.random.Generator) -> None:
    """A saloon car from its side, facing right."""
    paint = pick(rng, PAINT)
    roof = float(rng.uniform(0.0, 0.08))
    pen.shadow()
    pen.poly([(0.5, 0.4), (0.75, roof), (1.55, roof), (1.9, 0.4)], paint)
    pen.poly([(0.6, 0.4), (0.79, roof + 0.08), (1.1, roof + 0.08), (1.1, 0.4)], GLASS)
    pen.poly([(1.17, 0.4), (1.17, roof + 0.08), (1.51, roof + 0.08), (1.77, 0.4)], GLASS)
    pen.poly(
        [(0.04, 0.5), (0.2, 0.4), (1.95, 0.4), (2.3, 0.48), (2.36, 0.62), (2.36, 0.8), (0.02, 0.8)],
        paint,
    )
    pen.rect(0.02, 0.72, 2.36, 0.82, shade(paint, 0.55))
    pen.line([(1.13, 0.42), (1.13, 0.72)], 0.015, shade(paint, 0.5))
    pen.line([(1.2, 0.5), (1.33, 0.5)], 0.03, shade(paint, 0.5))
    pen.ellipse(2.3, 0.56, 0.06, 0.06, (255, 244, 190))
    pen.rect(0.02, 0.5, 0.09, 0.62, (220, 30, 30))
    for x in (0.52, 1.86):
        _wheel(pen, x, 0.79, 0.2)


def bus(pen: Pen, rng: np.random.Generator) -> None:
    """A bus from its side, facing right."""
    paint = pick(rng, ((235, 180, 40), (200, 50, 46), (50, 120, 190), (70, 150, 90)))
    pen.shadow()
    pen.box(0.0, 0.0, 2.3, 0.88, paint, 0.07)
    pen.box(0.05, 0.14, 2.26, 0.46, (40, 50, 60), 0.03)
    for column in range(5):
        x = 0.09 + column * 0.36
        pen.rect(x, 0.17, x + 0.3, 0.43, GLASS)
    pen.rect(1.96, 0.17, 2.23, 0.5, shade(GLASS, 1.15))
    pen.rect(1.5, 0.17, 1.86, 0.84, (54, 62, 70))
    pen.rect(1.53, 0.2, 1.665, 0.8, GLASS)
    pen.rect(1.695, 0.2, 1.83, 0.8, GLASS)
    pen.rect(0.0, 0.58, 1.47, 0.66, (245, 245, 242))
    pen.rect(0.3, 0.03, 1.3, 0.11, (30, 30, 32))
    pen.line([(0.4, 0.07), (1.0, 0.07)], 0.035, (255, 180, 40))
    for x in (0.45, 1.25, 2.05):
        _wheel(pen, x, 0.86, 0.125)


def bicycle(pen: Pen, rng: np.random.Generator) -> None:
    """A bicycle from its side."""
    paint = pick(rng, ((210, 40, 40), (40, 110, 180), (230, 170, 40), (30, 150, 120)))
    pen.shadow()
    for x in (0.33, 1.27):
        pen.ring(x, 0.66, 0.3, 0.055, (26, 26, 28))
        for turn in range(4):
            c, s = float(np.cos(turn * np.pi / 4)), float(np.sin(turn * np.pi / 4))
            pen.line(
                [(x - 0.28 * c, 0.66 - 0.28 * s), (x + 0.28 * c, 0.66 + 0.28 * s)],
                0.008,
                (150, 152, 156),
            )
    pen.line([(0.33, 0.66), (0.58, 0.28), (1.12, 0.26), (0.74, 0.66), (0.33, 0.66)], 0.06, paint)
    pen.line([(0.54, 0.2), (0.74, 0.66)], 0.06, paint)
    pen.line([(1.06, 0.08), (1.27, 0.66)], 0.06, paint)
    pen.line([(0.94, 0.1), (1.06, 0.07), (1.18, 0.12)], 0.05, (30, 30, 32))
    pen.line([(0.42, 0.18), (0.66, 0.18)], 0.08, (40, 28, 22))
    pen.ellipse(0.74, 0.66, 0.07, 0.07, (60, 60, 64))


def traffic_light(pen: Pen, rng: np.random.Generator) -> None:
    """A traffic light with one lamp lit."""
    pen.line([(0.19, 0.5), (0.19, 0.98)], 0.05, (90, 94, 98))
    pen.box(0.0, 0.0, 0.38, 0.62, pick(rng, ((30, 32, 34), (40, 60, 50), (190, 150, 40))), 0.06)
    lit = int(rng.integers(3))
    for index, colour in enumerate(((250, 50, 40), (255, 190, 40), (60, 230, 110))):
        y = 0.12 + 0.19 * index
        pen.ellipse(0.19, y, 0.1, 0.085, colour if index == lit else shade(colour, 0.33))


def stop_sign(pen: Pen, rng: np.random.Generator) -> None:
    """An octagonal stop sign on a post."""
    red = pick(rng, ((200, 30, 36),), 0.08)
    pen.line([(0.3, 0.5), (0.3, 0.98)], 0.055, (150, 154, 158))

    def octagon(radius: float) -> list[tuple[float, float]]:
        turns = (np.arange(8) + 0.5) * np.pi / 4
        return [(0.3 + radius * float(np.cos(t)), 0.31 + radius * float(np.sin(t))) for t in turns]

    pen.poly(octagon(0.32), (240, 240, 238))
    pen.poly(octagon(0.28), red)
    pen.rect(0.09, 0.25, 0.51, 0.37, (245, 245, 242))
    pen.stripes((0.1, 0.25, 0.5, 0.37), 3, red, width=0.035)


def tree(pen: Pen, rng: np.random.Generator) -> None:
    """A broad-leaved tree."""
    leaf = pick(rng, ((60, 120, 50), (90, 140, 50), (40, 96, 56), (190, 130, 40)))
    bark = pick(rng, ((96, 70, 48), (130, 120, 108)))
    pen.shadow()
    pen.poly([(0.33, 0.98), (0.37, 0.5), (0.45, 0.5), (0.5, 0.98)], bark)
    pen.line([(0.41, 0.68), (0.58, 0.5)], 0.04, bark)
    pen.line([(0.41, 0.62), (0.26, 0.48)], 0.04, bark)
    for x, y, radius in ((0.22, 0.42, 0.2), (0.6, 0.42, 0.2), (0.4, 0.25, 0.25), (0.4, 0.45, 0.22)):
        pen.ellipse(x, y, radius, radius * 0.92, shade(leaf, float(rng.uniform(0.8, 0.95))))
    for _ in range(40):
        angle, radius = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.02, 0.3))
        x, y = 0.41 + radius * float(np.cos(angle)) * 1.05, 0.34 + radius * float(np.sin(angle))
        pen.ellipse(x, y, 0.05, 0.035, shade(leaf, float(rng.uniform(0.65, 1.35))))


def hydrant(pen: Pen, rng: np.random.Generator) -> None:
    """A fire hydrant."""
    paint = pick(rng, ((210, 44, 36), (235, 180, 40)), 0.08)
    pen.shadow()
    pen.rect(0.08, 0.88, 0.52, 0.98, shade(paint, 0.7))
    pen.rect(0.15, 0.3, 0.45, 0.9, paint)
    pen.ellipse(0.3, 0.28, 0.19, 0.17, paint)
    pen.rect(0.08, 0.28, 0.52, 0.35, shade(paint, 0.65))
    pen.rect(0.26, 0.03, 0.34, 0.14, shade(paint, 0.8))
    for x in (0.06, 0.54):
        pen.ellipse(x, 0.5, 0.07, 0.085, shade(paint, 0.75))
    pen.ellipse(0.3, 0.52, 0.1, 0.1, (225, 226, 222))
    pen.ellipse(0.3, 0.52, 0.05, 0.05, (90, 92, 94))
