"""How people and animals look."""

from __future__ import annotations

import numpy as np

from polymorph_ros.data.synthetic.pen import Colour, Pen, pick, shade

SKIN: tuple[Colour, ...] = ((236, 194, 160), (200, 150, 110), (140, 94, 64), (96, 62, 44))
CLOTH: tuple[Colour, ...] = (
    (190, 50, 50),
    (50, 90, 160),
    (70, 130, 80),
    (230, 190, 70),
    (120, 80, 140),
    (230, 230, 228),
)
HAIR: tuple[Colour, ...] = ((40, 28, 22), (96, 60, 30), (210, 170, 90), (120, 120, 122))
FUR: tuple[Colour, ...] = ((140, 90, 50), (60, 44, 36), (214, 180, 130), (232, 226, 214))


def person(pen: Pen, rng: np.random.Generator) -> None:
    """A person from the front, arms and legs in some phase of walking."""
    skin, shirt, hair = pick(rng, SKIN, 0.06), pick(rng, CLOTH), pick(rng, HAIR)
    trousers = pick(rng, ((50, 60, 90), (40, 40, 44), (110, 96, 76), (90, 110, 140)))
    stride = float(rng.uniform(0.02, 0.09))
    swing = float(rng.uniform(-0.05, 0.1))
    pen.shadow()
    for side in (-1, 1):
        foot = 0.22 + side * stride
        pen.line(
            [(0.22 + side * 0.035, 0.52), (foot, 0.93)], 0.085, shade(trousers, 1 + 0.15 * side)
        )
        pen.line([(foot - 0.01, 0.965), (foot + 0.05, 0.965)], 0.04, (40, 30, 28))
    pen.line([(0.11, 0.25), (0.06 + swing, 0.42), (0.09 + swing, 0.54)], 0.065, shade(shirt, 0.8))
    pen.ellipse(0.09 + swing, 0.56, 0.03, 0.03, skin)
    pen.box(0.1, 0.19, 0.34, 0.56, shirt, 0.08)
    pen.line([(0.33, 0.25), (0.38 - swing, 0.42), (0.36 - swing, 0.54)], 0.065, shade(shirt, 1.15))
    pen.ellipse(0.36 - swing, 0.56, 0.03, 0.03, skin)
    pen.rect(0.185, 0.15, 0.255, 0.22, shade(skin, 0.85))
    pen.ellipse(0.22, 0.085, 0.085, 0.085, hair)
    pen.ellipse(0.23, 0.1, 0.068, 0.074, skin)
    if rng.random() < 0.4:
        pen.poly([(0.135, 0.07), (0.18, 0.06), (0.16, 0.24), (0.115, 0.22)], hair)
    for x in (0.215, 0.265):
        pen.ellipse(x, 0.092, 0.01, 0.012, (30, 24, 22))


def dog(pen: Pen, rng: np.random.Generator) -> None:
    """A dog from its side, facing right."""
    fur = pick(rng, FUR)
    dark = shade(fur, 0.6)
    pen.shadow()
    pen.line([(0.14, 0.45), (0.05, 0.3), (0.04, 0.12)], 0.07, fur)
    for x in (0.3, 0.92):
        pen.line([(x + 0.07, 0.6), (x + 0.09, 0.95)], 0.09, dark)
    for x in (0.22, 0.84):
        pen.line([(x, 0.6), (x - 0.01, 0.95)], 0.1, fur)
    pen.box(0.1, 0.36, 1.04, 0.72, fur, 0.17)
    pen.poly([(0.8, 0.5), (0.96, 0.2), (1.2, 0.3), (1.05, 0.62)], fur)
    pen.ellipse(1.1, 0.22, 0.17, 0.16, fur)
    pen.box(1.14, 0.2, 1.42, 0.36, shade(fur, 1.12), 0.07)
    pen.ellipse(1.41, 0.23, 0.04, 0.04, (20, 18, 18))
    pen.poly([(0.98, 0.1), (1.08, 0.08), (1.07, 0.36), (0.96, 0.42), (0.92, 0.26)], dark)
    pen.ellipse(1.16, 0.18, 0.022, 0.026, (20, 16, 16))
    pen.line([(0.93, 0.44), (1.1, 0.5)], 0.05, pick(rng, CLOTH))
    if rng.random() < 0.5:
        pen.ellipse(float(rng.uniform(0.3, 0.7)), 0.48, 0.14, 0.1, (236, 230, 220))


def cat(pen: Pen, rng: np.random.Generator) -> None:
    """A sitting cat that looks at the camera."""
    fur = pick(rng, ((230, 140, 50), (80, 80, 84), (36, 34, 36), (228, 220, 206)))
    mark = shade(fur, 0.6) if fur[0] > 60 else (120, 118, 116)
    pen.shadow()
    pen.line([(0.56, 0.9), (0.72, 0.86), (0.76, 0.66), (0.7, 0.5)], 0.08, fur)
    pen.poly([(0.16, 0.97), (0.18, 0.5), (0.32, 0.4), (0.48, 0.44), (0.62, 0.7), (0.64, 0.97)], fur)
    pen.ellipse(0.52, 0.82, 0.14, 0.15, fur)
    for x in (0.2, 0.34):
        pen.line([(x + 0.02, 0.62), (x, 0.94)], 0.09, shade(fur, 1.12))
    for x in (0.08, 0.36):
        pen.poly([(x, 0.26), (x + 0.03, 0.0), (x + 0.18, 0.16)], fur)
        pen.poly([(x + 0.03, 0.2), (x + 0.05, 0.07), (x + 0.12, 0.16)], (226, 150, 140))
    pen.ellipse(0.3, 0.28, 0.235, 0.2, fur)
    for x in (0.21, 0.39):
        pen.ellipse(x, 0.26, 0.05, 0.045, (180, 220, 80))
        pen.ellipse(x, 0.26, 0.016, 0.042, (10, 10, 10))
    pen.poly([(0.27, 0.34), (0.33, 0.34), (0.3, 0.38)], (226, 120, 120))
    for y in (0.34, 0.38):
        pen.line([(0.02, y), (0.2, 0.36)], 0.01, (240, 240, 240))
        pen.line([(0.58, y), (0.4, 0.36)], 0.01, (240, 240, 240))
    for y in (0.56, 0.66, 0.76):
        pen.line([(0.46, y), (0.6, y + 0.05)], 0.035, mark)
    pen.stripes((0.2, 0.09, 0.4, 0.16), 3, mark, width=0.025)
