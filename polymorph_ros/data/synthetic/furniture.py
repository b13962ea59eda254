"""How furniture and fixtures look."""

from __future__ import annotations

import numpy as np

from polymorph_ros.data.synthetic.pen import Colour, Pen, pick, shade

WOOD: tuple[Colour, ...] = ((150, 98, 56), (186, 136, 84), (104, 66, 40), (205, 170, 120))
FABRIC: tuple[Colour, ...] = ((150, 50, 54), (58, 92, 140), (92, 122, 86), (176, 140, 96))
WHITE: tuple[Colour, ...] = ((228, 228, 224), (205, 208, 212))
STEEL: tuple[Colour, ...] = ((168, 174, 180), (196, 200, 204), (130, 136, 142))


def chair(pen: Pen, rng: np.random.Generator) -> None:
    """A wooden chair with a ladder back, seen from the side."""
    wood = pick(rng, WOOD)
    seat = pick(rng, FABRIC)
    pen.shadow()
    for x, foot in ((0.12, 0.97), (0.52, 0.97)):
        pen.line([(x, 0.55), (x - 0.03, foot)], 0.05, wood)
    pen.line([(0.2, 0.55), (0.2, 0.88)], 0.04, shade(wood, 0.6))
    pen.line([(0.48, 0.55), (0.56, 0.88)], 0.04, shade(wood, 0.6))
    pen.line([(0.1, 0.02), (0.12, 0.55)], 0.05, wood)
    pen.line([(0.44, 0.02), (0.46, 0.55)], 0.05, wood)
    for y in (0.08, 0.2, 0.32):
        pen.line([(0.1, y), (0.45, y)], 0.055, shade(wood, 1.15))
    pen.poly([(0.07, 0.6), (0.13, 0.49), (0.5, 0.49), (0.58, 0.6)], seat)
    pen.rect(0.07, 0.6, 0.58, 0.65, shade(seat, 0.7))


def table(pen: Pen, rng: np.random.Generator) -> None:
    """A table seen a little from above."""
    wood = pick(rng, WOOD)
    pen.shadow()
    for x in (0.16, 1.44):
        pen.line([(x, 0.25), (x, 0.97)], 0.08, shade(wood, 0.8))
    for x in (0.36, 1.24):
        pen.line([(x, 0.25), (x, 0.8)], 0.06, shade(wood, 0.55))
    pen.rect(0.12, 0.24, 1.48, 0.36, shade(wood, 0.72))
    pen.poly([(0.2, 0.06), (1.4, 0.06), (1.58, 0.24), (0.02, 0.24)], shade(wood, 1.2))
    pen.line([(0.16, 0.12), (1.46, 0.12)], 0.01, wood)
    pen.line([(0.1, 0.18), (1.52, 0.18)], 0.01, wood)


def sofa(pen: Pen, rng: np.random.Generator) -> None:
    """A sofa for two, sometimes with a cushion."""
    fabric = pick(rng, FABRIC)
    pen.shadow()
    for x in (0.2, 1.7):
        pen.line([(x, 0.9), (x, 0.98)], 0.07, (50, 36, 26))
    pen.box(0.12, 0.08, 1.78, 0.75, shade(fabric, 0.8), 0.14)
    pen.box(0.2, 0.14, 0.94, 0.62, fabric, 0.08)
    pen.box(0.96, 0.14, 1.7, 0.62, fabric, 0.08)
    pen.box(0.18, 0.54, 0.95, 0.8, shade(fabric, 1.2), 0.08)
    pen.box(0.95, 0.54, 1.72, 0.8, shade(fabric, 1.2), 0.08)
    pen.rect(0.15, 0.78, 1.75, 0.93, shade(fabric, 0.75))
    pen.box(0.0, 0.36, 0.26, 0.93, shade(fabric, 1.08), 0.12)
    pen.box(1.64, 0.36, 1.9, 0.93, shade(fabric, 1.08), 0.12)
    if rng.random() < 0.6:
        x = float(rng.uniform(0.35, 1.2))
        cushion = pick(rng, ((220, 180, 60), (230, 230, 220), (60, 130, 130)))
        pen.poly([(x, 0.3), (x + 0.3, 0.26), (x + 0.34, 0.58), (x + 0.03, 0.6)], cushion)


def bed(pen: Pen, rng: np.random.Generator) -> None:
    """A bed from its side: headboard, pillow, blanket."""
    wood = pick(rng, WOOD)
    cover = pick(rng, ((90, 120, 170), (170, 90, 110), (120, 150, 120), (210, 180, 130)))
    pen.shadow()
    pen.box(0.0, 0.02, 0.12, 0.98, wood, 0.04)
    pen.box(1.88, 0.4, 2.0, 0.98, wood, 0.04)
    pen.rect(0.1, 0.62, 1.9, 0.86, shade(wood, 0.8))
    pen.box(0.12, 0.44, 1.88, 0.68, (232, 230, 226), 0.06)
    pen.box(0.16, 0.28, 0.56, 0.5, (246, 246, 242), 0.1)
    pen.poly(
        [(0.66, 0.44), (0.8, 0.37), (1.8, 0.38), (1.9, 0.46), (1.9, 0.78), (0.66, 0.78)], cover
    )
    pen.poly([(0.66, 0.44), (0.8, 0.37), (0.94, 0.37), (0.84, 0.78), (0.66, 0.78)], (235, 235, 232))
    pen.stripes((0.95, 0.44, 1.88, 0.76), 4, shade(cover, 0.72), width=0.02)


def shelf(pen: Pen, rng: np.random.Generator) -> None:
    """A bookcase of four boards."""
    wood = pick(rng, WOOD)
    pen.rect(0.0, 0.0, 0.95, 1.0, shade(wood, 0.45))
    rows = 4
    for row in range(rows):
        top, bottom = 0.04 + row * 0.24, 0.04 + (row + 1) * 0.24
        x = 0.06
        while x < 0.82:
            width = float(rng.uniform(0.04, 0.09))
            height = float(rng.uniform(0.13, 0.19))
            if rng.random() < 0.85:
                spine = pick(rng, ((170, 50, 46), (40, 80, 140), (60, 120, 80), (215, 190, 130)))
                pen.rect(x, bottom - height, x + width, bottom, spine)
            x += width + 0.008
        pen.rect(0.0, bottom - 0.015, 0.95, bottom + 0.025, wood)
        pen.rect(0.0, top - 0.02, 0.95, top, wood)
    for x in (0.0, 0.9):
        pen.rect(x, 0.0, x + 0.05, 1.0, shade(wood, 1.15))


def fridge(pen: Pen, rng: np.random.Generator) -> None:
    """A tall fridge with a freezer on top, sometimes with notes on it."""
    body = pick(rng, (*WHITE, (176, 182, 188), (190, 70, 62), (130, 185, 175)), 0.06)
    pen.shadow()
    pen.box(0.02, 0.0, 0.5, 0.97, body, 0.04)
    pen.rect(0.02, 0.33, 0.5, 0.35, shade(body, 0.4))
    for y0, y1 in ((0.14, 0.3), (0.4, 0.62)):
        pen.line([(0.09, y0), (0.09, y1)], 0.03, (60, 62, 66))
    for _ in range(int(rng.integers(0, 4))):
        x, y = float(rng.uniform(0.18, 0.4)), float(rng.uniform(0.05, 0.6))
        pen.rect(
            x, y, x + 0.07, y + 0.07, pick(rng, ((220, 60, 60), (240, 210, 70), (70, 140, 90)))
        )
    pen.rect(0.04, 0.95, 0.48, 0.99, (40, 40, 42))


def oven(pen: Pen, rng: np.random.Generator) -> None:
    """A cooker: hob, knobs, glass door."""
    body = pick(rng, (*WHITE, *STEEL, (60, 62, 66)), 0.06)
    pen.shadow()
    pen.rect(0.0, 0.05, 0.9, 0.97, body)
    pen.poly([(0.06, 0.0), (0.84, 0.0), (0.9, 0.07), (0.0, 0.07)], (28, 28, 30))
    pen.rect(0.0, 0.07, 0.9, 0.24, shade(body, 0.82))
    for x in (0.12, 0.27, 0.63, 0.78):
        pen.ellipse(x, 0.155, 0.05, 0.05, (30, 30, 32))
        pen.line([(x, 0.155), (x, 0.115)], 0.015, (230, 230, 230))
    pen.rect(0.37, 0.11, 0.53, 0.2, (20, 60, 40))
    pen.line([(0.1, 0.31), (0.8, 0.31)], 0.04, (225, 228, 230))
    pen.box(0.1, 0.38, 0.8, 0.78, (22, 22, 26), 0.04)
    pen.box(0.16, 0.44, 0.74, 0.72, (120, 66, 26), 0.03)
    pen.stripes((0.16, 0.45, 0.74, 0.71), 3, (50, 30, 20), upright=False)
    pen.rect(0.0, 0.84, 0.9, 0.86, shade(body, 0.5))


def sink(pen: Pen, rng: np.random.Generator) -> None:
    """A basin with a bent tap."""
    steel = pick(rng, STEEL, 0.06)
    pen.line(
        [(0.62, 0.6), (0.62, 0.16), (0.68, 0.06), (0.84, 0.06), (0.88, 0.14), (0.88, 0.26)],
        0.07,
        shade(steel, 0.9),
    )
    pen.line([(0.48, 0.54), (0.44, 0.42)], 0.05, shade(steel, 0.8))
    pen.line([(0.76, 0.54), (0.8, 0.42)], 0.05, shade(steel, 0.8))
    pen.poly([(0.08, 0.56), (1.32, 0.56), (1.4, 0.68), (0.0, 0.68)], shade(steel, 1.15))
    pen.poly([(0.16, 0.59), (1.24, 0.59), (1.3, 0.67), (0.1, 0.67)], (62, 68, 76))
    pen.poly([(0.0, 0.68), (1.4, 0.68), (1.28, 0.98), (0.12, 0.98)], steel)
    pen.stripes((0.16, 0.72, 1.24, 0.94), 2, shade(steel, 0.7), upright=False)


def door(pen: Pen, rng: np.random.Generator) -> None:
    """A panelled door in its frame."""
    panel = pick(rng, ((150, 98, 56), (225, 222, 214), (60, 96, 80), (150, 48, 44), (50, 76, 116)))
    frame = pick(rng, ((236, 232, 224), (96, 64, 42)))
    pen.rect(0.0, 0.0, 0.5, 1.0, frame)
    pen.rect(0.05, 0.04, 0.45, 1.0, panel)
    for x0, x1 in ((0.1, 0.23), (0.27, 0.4)):
        for y0, y1 in ((0.09, 0.28), (0.33, 0.52), (0.62, 0.93)):
            pen.rect(x0, y0, x1, y1, shade(panel, 0.68))
            pen.rect(x0 + 0.015, y0 + 0.012, x1, y1, shade(panel, 1.12))
    pen.ellipse(0.41, 0.57, 0.028, 0.02, (230, 200, 110))


def window(pen: Pen, rng: np.random.Generator) -> None:
    """A window with four panes, sometimes with curtains."""
    frame = pick(rng, ((240, 240, 236), (120, 80, 50), (90, 100, 104)), 0.08)
    glass = pick(rng, ((150, 196, 232), (200, 222, 236), (96, 140, 190)))
    pen.rect(0.0, 0.0, 0.9, 0.94, frame)
    pen.rect(0.07, 0.07, 0.83, 0.87, glass)
    pen.poly(
        [(0.07, 0.62), (0.3, 0.5), (0.55, 0.64), (0.83, 0.52), (0.83, 0.87), (0.07, 0.87)],
        shade(glass, 0.75),
    )
    pen.poly([(0.14, 0.44), (0.4, 0.1), (0.5, 0.1), (0.22, 0.46)], shade(glass, 1.25))
    pen.rect(0.42, 0.05, 0.48, 0.9, frame)
    pen.rect(0.05, 0.4, 0.85, 0.46, frame)
    pen.rect(-0.04, 0.92, 0.94, 1.0, shade(frame, 0.86))
    if rng.random() < 0.4:
        cloth = pick(rng, FABRIC)
        for x0, x1, tip in ((0.0, 0.2, 0.1), (0.9, 0.7, 0.8)):
            pen.poly([(x0, 0.0), (x1, 0.0), (tip, 0.9), (x0, 0.9)], cloth)


def bench(pen: Pen, rng: np.random.Generator) -> None:
    """A slatted bench on iron legs."""
    wood = pick(rng, ((150, 92, 50), (110, 70, 40), (84, 110, 72)))
    iron = (44, 46, 48)
    pen.shadow()
    for x in (0.16, 1.64):
        pen.line([(x, 0.05), (x, 0.97)], 0.06, iron)
        pen.line([(x - 0.1, 0.97), (x + 0.1, 0.97)], 0.05, iron)
    for y in (0.06, 0.2, 0.34):
        pen.rect(0.02, y, 1.78, y + 0.095, shade(wood, 1.1))
    pen.poly([(0.06, 0.52), (1.74, 0.52), (1.8, 0.66), (0.0, 0.66)], wood)
    pen.line([(0.03, 0.59), (1.77, 0.59)], 0.02, shade(wood, 0.5))
    pen.rect(0.0, 0.66, 1.8, 0.71, shade(wood, 0.6))
