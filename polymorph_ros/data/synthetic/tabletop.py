"""How things that stand on a counter, hang on a wall or light a room look."""

from __future__ import annotations

import numpy as np

from polymorph_ros.data.synthetic.pen import Colour, Pen, pick, shade

VIVID: tuple[Colour, ...] = ((200, 50, 46), (46, 92, 170), (230, 180, 50), (60, 140, 90))


def lamp(pen: Pen, rng: np.random.Generator) -> None:
    """A table lamp, lit."""
    cloth = pick(rng, ((250, 226, 150), (250, 236, 200), (240, 190, 120)), 0.04)
    foot = pick(rng, ((60, 50, 44), (190, 160, 90), (200, 204, 208)))
    pen.ellipse(0.3, 0.95, 0.17, 0.045, foot)
    pen.line([(0.3, 0.4), (0.3, 0.94)], 0.05, foot)
    pen.poly([(0.16, 0.02), (0.44, 0.02), (0.59, 0.42), (0.01, 0.42)], cloth)
    pen.poly([(0.24, 0.06), (0.36, 0.06), (0.42, 0.4), (0.18, 0.4)], (255, 250, 226))
    pen.line([(0.02, 0.41), (0.58, 0.41)], 0.03, shade(cloth, 0.7))


def plant(pen: Pen, rng: np.random.Generator) -> None:
    """A pot plant with pointed leaves."""
    green = pick(rng, ((50, 130, 60), (80, 150, 70), (40, 110, 80)))
    pot = pick(rng, ((190, 96, 60), (225, 222, 215), (80, 100, 130), (60, 60, 62)))
    for angle in np.linspace(-1.25, 1.25, 9) + rng.normal(0, 0.1, 9):
        length = float(rng.uniform(0.5, 0.66))
        x = 0.4 + length * 0.62 * float(np.sin(angle))
        y = 0.64 - length * float(np.cos(angle)) * 0.95
        mid = (0.4 + (x - 0.4) * 0.45, 0.64 + (y - 0.64) * 0.65)
        leaf = shade(green, float(rng.uniform(0.75, 1.3)))
        pen.poly(
            [(0.4, 0.66), (mid[0] - 0.06, mid[1] - 0.01), (x, y), (mid[0] + 0.07, mid[1] + 0.03)],
            leaf,
        )
    pen.poly([(0.18, 0.66), (0.62, 0.66), (0.56, 0.98), (0.24, 0.98)], pot)
    pen.rect(0.15, 0.63, 0.65, 0.72, shade(pot, 1.12))


def book(pen: Pen, rng: np.random.Generator) -> None:
    """A row of books, the last one leaning."""
    left = 0.02
    for _ in range(4):
        cover = pick(rng, VIVID)
        width = float(rng.uniform(0.17, 0.24))
        top = float(rng.uniform(0.02, 0.2))
        pen.rect(left, top, left + width, 0.98, cover)
        pen.rect(left, top + 0.12, left + width, top + 0.19, (240, 220, 150))
        pen.rect(left, 0.8, left + width, 0.84, (240, 220, 150))
        left += width + 0.01
    cover = pick(rng, VIVID)
    pen.poly([(left + 0.12, 0.16), (left + 0.3, 0.2), (left + 0.19, 0.98), (left, 0.98)], cover)
    pen.line([(left + 0.28, 0.3), (left + 0.18, 0.95)], 0.04, (240, 236, 220))


def laptop(pen: Pen, rng: np.random.Generator) -> None:
    """An open laptop."""
    body = pick(rng, ((190, 194, 198), (150, 154, 160)), 0.06)
    screen = pick(rng, ((60, 120, 200), (40, 60, 90), (90, 150, 160)))
    pen.box(0.2, 0.0, 1.3, 0.66, shade(body, 0.5), 0.04)
    pen.rect(0.26, 0.06, 1.24, 0.6, screen)
    pen.poly([(0.3, 0.6), (0.7, 0.2), (0.95, 0.4), (1.15, 0.3), (1.24, 0.6)], shade(screen, 1.5))
    pen.poly([(0.2, 0.66), (1.3, 0.66), (1.5, 0.92), (0.0, 0.92)], body)
    pen.poly([(0.27, 0.69), (1.23, 0.69), (1.34, 0.82), (0.16, 0.82)], (44, 46, 50))
    pen.rect(0.58, 0.84, 0.92, 0.9, shade(body, 0.8))
    pen.rect(0.0, 0.92, 1.5, 0.98, shade(body, 0.65))


def monitor(pen: Pen, rng: np.random.Generator) -> None:
    """A screen with lines of text on its stand."""
    frame = pick(rng, ((26, 27, 30), (210, 212, 214)), 0.08)
    page = pick(rng, ((236, 238, 240), (30, 40, 56)), 0.04)
    ink = (60, 110, 180) if page[0] > 120 else (120, 220, 140)
    pen.poly([(0.5, 0.7), (0.7, 0.7), (0.74, 0.94), (0.46, 0.94)], shade(frame, 0.9))
    pen.ellipse(0.6, 0.94, 0.32, 0.045, shade(frame, 1.2))
    pen.box(0.0, 0.0, 1.2, 0.76, frame, 0.03)
    pen.rect(0.05, 0.05, 1.15, 0.7, page)
    pen.rect(0.05, 0.05, 1.15, 0.13, ink)
    for row in range(6):
        y = 0.2 + row * 0.08
        start = 0.12 + 0.08 * int(rng.integers(0, 3))
        pen.line([(start, y), (start + float(rng.uniform(0.25, 0.7)), y)], 0.03, shade(ink, 0.9))


def tv(pen: Pen, rng: np.random.Generator) -> None:
    """A flat television that shows a landscape."""
    sky = pick(rng, ((230, 120, 60), (70, 160, 220), (150, 90, 180)))
    land = pick(rng, ((50, 130, 60), (200, 160, 60), (40, 60, 120)))
    pen.box(0.0, 0.0, 1.75, 0.96, (18, 18, 20), 0.03)
    pen.rect(0.05, 0.05, 1.7, 0.87, sky)
    pen.poly(
        [(0.05, 0.6), (0.5, 0.3), (0.9, 0.62), (1.3, 0.42), (1.7, 0.66), (1.7, 0.87), (0.05, 0.87)],
        land,
    )
    pen.ellipse(1.3, 0.24, 0.11, 0.11, (255, 240, 170))
    pen.rect(0.75, 0.9, 1.0, 0.93, (150, 30, 30))


def keyboard(pen: Pen, rng: np.random.Generator) -> None:
    """A keyboard seen from above its front edge."""
    body = pick(rng, ((40, 42, 46), (215, 216, 214)), 0.08)
    key = (225, 228, 230) if body[0] < 120 else (90, 94, 100)
    pen.poly([(0.2, 0.04), (2.2, 0.04), (2.4, 0.9), (0.0, 0.9)], body)
    pen.rect(0.0, 0.9, 2.4, 0.99, shade(body, 0.6))
    for row in range(4):
        y0 = 0.1 + row * 0.2
        spread = 0.94 + 0.045 * row
        for column in range(11):
            centre = 1.2 + (column - 5) * 0.175 * spread
            pen.rect(centre - 0.06, y0, centre + 0.06, y0 + 0.14, key)
    pen.rect(0.7, 0.7, 1.7, 0.84, key)


def mug(pen: Pen, rng: np.random.Generator) -> None:
    """A mug with a band."""
    glaze = pick(rng, (*VIVID, (240, 238, 230)))
    pen.ring(0.78, 0.52, 0.2, 0.1, shade(glaze, 0.85))
    pen.poly([(0.06, 0.12), (0.76, 0.12), (0.7, 0.97), (0.12, 0.97)], glaze)
    pen.ellipse(0.41, 0.13, 0.35, 0.11, shade(glaze, 1.25))
    pen.ellipse(0.41, 0.14, 0.29, 0.075, (66, 38, 22))
    pen.rect(0.1, 0.5, 0.72, 0.64, (250, 248, 240) if glaze[0] < 225 else (60, 90, 150))


def bottle(pen: Pen, rng: np.random.Generator) -> None:
    """A bottle with a label."""
    glass = pick(rng, ((36, 96, 56), (110, 66, 26), (70, 130, 170)))
    tag = pick(rng, ((240, 232, 206), (220, 60, 50), (250, 210, 70)))
    pen.poly(
        [
            (0.13, 0.08),
            (0.25, 0.08),
            (0.26, 0.34),
            (0.37, 0.48),
            (0.37, 0.97),
            (0.01, 0.97),
            (0.01, 0.48),
            (0.12, 0.34),
        ],
        glass,
    )
    pen.rect(0.12, 0.0, 0.26, 0.1, tag)
    pen.rect(0.01, 0.58, 0.37, 0.84, tag)
    pen.rect(0.06, 0.66, 0.32, 0.7, shade(tag, 0.5))
    pen.line([(0.08, 0.5), (0.08, 0.93)], 0.025, shade(glass, 1.9))


def pan(pen: Pen, rng: np.random.Generator) -> None:
    """A frying pan, sometimes with an egg in it."""
    metal = pick(rng, ((40, 40, 44), (176, 70, 50), (120, 126, 132)))
    pen.line([(0.95, 0.42), (1.75, 0.26)], 0.12, (30, 26, 24))
    pen.poly([(0.02, 0.34), (1.04, 0.34), (0.93, 0.93), (0.13, 0.93)], metal)
    pen.ellipse(0.53, 0.35, 0.52, 0.16, shade(metal, 1.5))
    pen.ellipse(0.53, 0.36, 0.44, 0.115, (70, 60, 52))
    if rng.random() < 0.6:
        pen.ellipse(0.5, 0.36, 0.26, 0.08, (250, 248, 240))
        pen.ellipse(0.52, 0.35, 0.1, 0.045, (250, 190, 40))
    pen.line([(0.2, 0.7), (0.86, 0.7)], 0.02, shade(metal, 0.6))


def clock(pen: Pen, rng: np.random.Generator) -> None:
    """A round wall clock."""
    rim = pick(rng, ((40, 40, 44), (150, 98, 56), (200, 50, 46), (200, 180, 100)))
    pen.ellipse(0.5, 0.5, 0.5, 0.5, rim)
    pen.ellipse(0.5, 0.5, 0.41, 0.41, (246, 244, 236))
    for hour in range(12):
        angle = hour * np.pi / 6
        c, s = float(np.cos(angle)), float(np.sin(angle))
        pen.line(
            [(0.5 + 0.31 * c, 0.5 + 0.31 * s), (0.5 + 0.37 * c, 0.5 + 0.37 * s)],
            0.035,
            (30, 30, 30),
        )
    for length, width in ((0.2, 0.06), (0.31, 0.04)):
        angle = float(rng.uniform(0, 2 * np.pi))
        pen.line(
            [
                (0.5, 0.5),
                (0.5 + length * float(np.cos(angle)), 0.5 + length * float(np.sin(angle))),
            ],
            width,
            (20, 20, 24),
        )


def waste_bin(pen: Pen, rng: np.random.Generator) -> None:
    """A ribbed bin with a lid."""
    body = pick(rng, ((60, 110, 70), (60, 80, 120), (90, 92, 96), (180, 184, 188)))
    pen.shadow()
    pen.poly([(0.06, 0.2), (0.64, 0.2), (0.57, 0.97), (0.13, 0.97)], body)
    pen.stripes((0.13, 0.3, 0.57, 0.92), 5, shade(body, 0.6), width=0.03)
    pen.poly([(0.0, 0.2), (0.06, 0.1), (0.64, 0.1), (0.7, 0.2)], shade(body, 0.75))
    pen.line([(0.25, 0.07), (0.45, 0.07)], 0.05, shade(body, 0.5))
