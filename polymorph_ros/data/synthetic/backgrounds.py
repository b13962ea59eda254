"""Backgrounds of the places as wide strips, drawn at the resolution of the frames."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.synthetic.pen import Colour, Pen, pick, shade
from polymorph_ros.data.synthetic.places import Place, Room

STRIP_PAD = 0.3  # units drawn beyond the view: room for zoom, jitter and roll
GRAIN_CELLS = 22  # cells of the wall's mottling per unit, the same at every resolution

Span = tuple[float, float]


def draw_background(
    place: Place,
    rng: np.random.Generator,
    *,
    length: float,
    floor: float,
    counter: float,
    counters: Sequence[Span],
    pixels: int,
) -> NDArray[np.uint8]:
    """The strip of a place: uint8 RGB, ``length`` units plus ``STRIP_PAD`` on every side.

    Args:
        place: what to draw.
        rng: decides its colours and patterns.
        length: units along the strip.
        floor: where wall and floor meet, in units from the picture's top.
        counter: height of the counter tops, likewise.
        counters: where counters stand, in units from the strip's start.
        pixels: pixels of a unit.
    """
    pen = Pen(length, pixels, STRIP_PAD)
    if place.room is not None:
        _draw_room(pen, place.room, rng, floor)
        for span in counters:
            _draw_counter(pen, place.room.counter_style, rng, span, counter, floor)
    elif place.outdoors == "street":
        _draw_street(pen, rng, floor)
    else:
        _draw_park(pen, rng, floor)
    return _mottled(pen, rng)


def _mottled(pen: Pen, rng: np.random.Generator) -> NDArray[np.uint8]:
    cells = (round((1 + 2 * STRIP_PAD) * GRAIN_CELLS), round((pen.aspect + 1) * GRAIN_CELLS))
    height, width = pen.image.shape[:2]
    grain = rng.normal(1.0, rng.uniform(0.01, 0.035), cells).astype(np.float32)
    smooth = cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC)
    colours = pen.image[:, :, :3] * smooth[:, :, None]
    return np.clip(colours, 0, 255).astype(np.uint8)


def _draw_room(pen: Pen, room: Room, rng: np.random.Generator, floor: float) -> None:
    low, high, left, right = -STRIP_PAD, 1 + STRIP_PAD, -STRIP_PAD, pen.aspect + STRIP_PAD
    wall = pick(rng, room.walls)
    pen.rect(left, low, right, floor, wall)
    _draw_wall(pen, str(rng.choice(room.wall_patterns)), wall, rng, floor)
    ground = pick(rng, room.floors)
    pen.rect(left, floor, right, high, ground)
    pattern = str(rng.choice(room.floor_patterns))
    if pattern != "carpet":
        rows = np.cumsum([0.05, 0.07, 0.09, 0.12, 0.15, 0.2]) + floor
        for y in rows:
            pen.line([(left, float(y)), (right, float(y))], 0.008, shade(ground, 0.72))
        step, slant = (0.3, 0.1) if pattern == "tiles" else (0.75, 0.0)
        for column in range(int(pen.aspect / step) + 3):
            x = left + column * step
            if pattern == "tiles":
                pen.line([(x, floor), (x - slant, high)], 0.008, shade(ground, 0.72))
            else:
                for index, y in enumerate(rows[:-1]):
                    shift = x + 0.31 * (index % 3)
                    pen.line(
                        [(shift, float(y)), (shift, float(rows[index + 1]))],
                        0.008,
                        shade(ground, 0.72),
                    )
    board = pick(rng, ((236, 234, 228), (110, 80, 56), (80, 84, 90)))
    pen.rect(left, floor - 0.035, right, floor, board)
    pen.rect(left, floor, right, floor + 0.02, shade(ground, 0.6))


def _draw_wall(
    pen: Pen, pattern: str, wall: Colour, rng: np.random.Generator, floor: float
) -> None:
    low, left, right = -STRIP_PAD, -STRIP_PAD, pen.aspect + STRIP_PAD
    mark = shade(wall, 0.86 if rng.random() < 0.5 else 1.12)
    if pattern == "stripes":
        step = float(rng.uniform(0.1, 0.2))
        for column in range(int((right - left) / step)):
            pen.rect(left + column * step, low, left + (column + 0.5) * step, floor, mark)
    elif pattern == "dots":
        step = float(rng.uniform(0.11, 0.18))
        for row in range(int((floor - low) / step)):
            for column in range(int((right - left) / step)):
                x, y = left + (column + 0.5 * (row % 2)) * step, low + row * step
                pen.poly([(x - 0.016, y), (x, y - 0.022), (x + 0.016, y), (x, y + 0.022)], mark)
    elif pattern in ("tiles", "bricks"):
        height, width = (0.1, 0.1) if pattern == "tiles" else (0.06, 0.16)
        rows = int((floor - low) / height) + 1
        for row in range(rows):
            y = floor - row * height
            pen.line([(left, y), (right, y)], 0.007, mark)
            shift = 0.5 * width * (row % 2) if pattern == "bricks" else 0.0
            for column in range(int((right - left) / width)):
                x = left + shift + column * width
                pen.line([(x, y - height), (x, y)], 0.007, mark)
    elif pattern == "panels":
        top = floor - float(rng.uniform(0.25, 0.4))
        pen.rect(left, top, right, floor, mark)
        pen.rect(left, top - 0.02, right, top, shade(mark, 0.8))
        for column in range(int((right - left) / 0.12)):
            x = left + column * 0.12
            pen.line([(x, top), (x, floor)], 0.006, shade(mark, 0.85))


def _draw_counter(
    pen: Pen, style: str, rng: np.random.Generator, span: Span, top: float, floor: float
) -> None:
    x0, x1 = span
    foot = floor + 0.05
    body = pick(rng, ((210, 204, 192), (150, 104, 66), (96, 120, 124), (110, 76, 52)))
    plate = pick(rng, ((70, 66, 64), (200, 190, 174), (170, 124, 80)))
    if style == "desk":
        for x in (x0 + 0.06, x1 - 0.06):
            pen.rect(x - 0.025, top, x + 0.025, foot, shade(plate, 0.7))
        pen.rect(x1 - 0.42, top, x1 - 0.12, foot - 0.02, body)
        for row in range(2):
            y = top + 0.04 + (foot - top) * 0.42 * row
            pen.line([(x1 - 0.3, y + 0.03), (x1 - 0.24, y + 0.03)], 0.014, (60, 60, 62))
            pen.line([(x1 - 0.42, y + 0.07), (x1 - 0.12, y + 0.07)], 0.008, shade(body, 0.6))
    else:
        pen.rect(x0 + 0.02, top, x1 - 0.02, foot, body)
        count = max(2, round((x1 - x0) / (0.3 if style == "cupboards" else 0.45)))
        for column in range(count):
            a = x0 + 0.02 + (x1 - x0 - 0.04) * column / count
            b = x0 + 0.02 + (x1 - x0 - 0.04) * (column + 1) / count
            pen.rect(a + 0.012, top + 0.04, b - 0.012, foot - 0.015, shade(body, 1.12))
            middle = (a + b) / 2
            if style == "cupboards":
                pen.line([(b - 0.04, top + 0.07), (b - 0.04, top + 0.13)], 0.014, (70, 70, 72))
            else:
                pen.line(
                    [(middle - 0.04, top + 0.09), (middle + 0.04, top + 0.09)], 0.014, (70, 60, 50)
                )
    pen.rect(x0, top - 0.005, x1, top + 0.03, plate)


def _draw_sky(pen: Pen, rng: np.random.Generator, horizon: float) -> None:
    left, right = -STRIP_PAD, pen.aspect + STRIP_PAD
    sky = np.asarray(pick(rng, ((120, 176, 226), (190, 206, 220), (230, 186, 150), (90, 110, 160))))
    for band in range(12):
        part = band / 12
        y = -STRIP_PAD + (horizon + STRIP_PAD) * part
        pale = sky + (np.asarray([236, 234, 226]) - sky) * part * 0.7
        pen.rect(left, y, right, horizon, (int(pale[0]), int(pale[1]), int(pale[2])))
    for _ in range(int(pen.aspect * 1.2)):
        x, y = float(rng.uniform(left, right)), float(rng.uniform(-0.1, horizon * 0.6))
        for _ in range(4):
            pen.ellipse(
                x + float(rng.normal(0, 0.1)),
                y + float(rng.normal(0, 0.015)),
                float(rng.uniform(0.06, 0.14)),
                float(rng.uniform(0.02, 0.05)),
                (240, 242, 244),
            )


def _draw_street(pen: Pen, rng: np.random.Generator, floor: float) -> None:
    left, right, high = -STRIP_PAD, pen.aspect + STRIP_PAD, 1 + STRIP_PAD
    _draw_sky(pen, rng, floor)
    x = left
    while x < right:
        width = float(rng.uniform(0.5, 1.1))
        top = float(rng.uniform(-0.15, 0.2))
        wall = pick(
            rng,
            ((170, 110, 84), (200, 186, 160), (140, 146, 150), (196, 160, 120), (120, 130, 120)),
        )
        pen.rect(x, top, x + width, floor, wall)
        rows = int((floor - top) / 0.07)
        for row in range(rows):
            y = top + row * 0.07
            pen.line([(x, y), (x + width, y)], 0.006, shade(wall, 0.87))
        if rng.random() < 0.5:
            pen.poly(
                [(x - 0.03, top), (x + width / 2, top - 0.18), (x + width + 0.03, top)],
                pick(rng, ((130, 70, 56), (80, 84, 92))),
            )
        pen.rect(x - 0.01, top - 0.02, x + width + 0.01, top + 0.015, shade(wall, 0.7))
        pen.rect(x, floor - 0.06, x + width, floor, shade(wall, 0.65))
        if rng.random() < 0.4:
            y = floor - float(rng.uniform(0.24, 0.3))
            awning = pick(rng, ((180, 50, 46), (50, 100, 140), (60, 120, 80)))
            stripes = 7
            for stripe in range(stripes):
                a = x + 0.05 + (width - 0.1) * stripe / stripes
                b = x + 0.05 + (width - 0.1) * (stripe + 1) / stripes
                colour = awning if stripe % 2 else (236, 232, 224)
                pen.poly([(a, y), (b, y), (b, y + 0.09), (a, y + 0.09)], colour)
        x += width + (float(rng.uniform(0.05, 0.4)) if rng.random() < 0.3 else 0.0)
    pavement = pick(rng, ((168, 164, 158), (150, 146, 142)))
    kerb = floor + 0.1
    pen.rect(left, floor, right, kerb, pavement)
    for column in range(int((right - left) / 0.25)):
        x = left + column * 0.25
        pen.line([(x, floor), (x - 0.04, kerb)], 0.006, shade(pavement, 0.8))
    pen.rect(left, kerb, right, kerb + 0.02, shade(pavement, 1.2))
    road = pick(rng, ((84, 86, 90), (66, 68, 72), (104, 102, 100)))
    pen.rect(left, kerb + 0.02, right, high, road)
    for column in range(int((right - left) / 0.6) + 1):
        x = left + column * 0.6
        pen.rect(x, kerb + 0.14, x + 0.3, kerb + 0.16, (230, 228, 220))


def _draw_park(pen: Pen, rng: np.random.Generator, floor: float) -> None:
    left, right, high = -STRIP_PAD, pen.aspect + STRIP_PAD, 1 + STRIP_PAD
    _draw_sky(pen, rng, floor)
    hill = pick(rng, ((120, 150, 130), (140, 160, 170), (110, 140, 100)))
    xs = np.linspace(left, right, 40)
    ridge = floor - 0.16 + 0.07 * np.sin(xs * float(rng.uniform(1.0, 2.0)) + rng.uniform(0, 6))
    outline = [(float(x), float(y)) for x, y in zip(xs, ridge, strict=True)]
    pen.poly([*outline, (right, floor), (left, floor)], hill)
    hedge = pick(rng, ((60, 100, 50), (80, 116, 60), (50, 84, 56)))
    for _ in range(int((right - left) * 24)):
        x, y = float(rng.uniform(left, right)), floor - float(rng.uniform(0.0, 0.09))
        pen.ellipse(x, y, 0.05, 0.04, shade(hedge, float(rng.uniform(0.75, 1.2))))
    grass = pick(rng, ((96, 150, 70), (130, 156, 76), (80, 130, 70), (170, 160, 90)))
    pen.rect(left, floor, right, high, grass)
    for _ in range(int((right - left) * 30)):
        x, y = float(rng.uniform(left, right)), float(rng.uniform(floor, high))
        size = 0.01 + 0.03 * (y - floor)
        tuft = shade(grass, float(rng.uniform(0.75, 1.25)))
        pen.poly([(x - size, y), (x, y - 2 * size), (x + size, y)], tuft)
    if rng.random() < 0.7:
        path = pick(rng, ((200, 180, 144), (170, 166, 160)))
        y = floor + float(rng.uniform(0.08, 0.16))
        pen.rect(left, y, right, y + 0.1, path)
        pen.line([(left, y), (right, y)], 0.012, shade(path, 0.75))
