"""What a label looks like: an outline, a pattern and two colours, all drawn from its name.

Few outlines, patterns and hues serve many names, so labels come to look alike in one or two of
them, as real things do; which do is a matter of chance and does not depend on co-occurrence.
"""

from __future__ import annotations

import colorsys
import hashlib
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SPRITE = 64  # side of a sprite, pixels

_OUTLINES = 10
_PATTERNS = 6
_HUES = 8

Floats = NDArray[np.float32]


def seeded(*words: object) -> np.random.Generator:
    """A generator that any words decide, the same on every machine."""
    digest = hashlib.blake2b("\n".join(map(str, words)).encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))


@dataclass(frozen=True)
class Look:
    """The look that the instances of one label share.

    Attributes:
        outline: which silhouette, 0 to 9.
        pattern: which pattern, 0 to 5.
        hues: of the body and of the pattern, each in [0, 1).
        shades: brightness of the two, each in (0, 1].
        waves: how often the pattern repeats across the body.
        tilt: direction of the pattern, radians.
        stretch: width over height.
    """

    outline: int
    pattern: int
    hues: tuple[float, float]
    shades: tuple[float, float]
    waves: float
    tilt: float
    stretch: float


def look_of(name: str) -> Look:
    """The look of a name; equal names look equal."""
    rng = seeded("look", name)
    first = int(rng.integers(_HUES))
    second = (first + int(rng.integers(2, _HUES - 1))) % _HUES
    bright = bool(rng.integers(2))
    return Look(
        outline=int(rng.integers(_OUTLINES)),
        pattern=int(rng.integers(_PATTERNS)),
        hues=(first / _HUES, second / _HUES),
        shades=(0.9, 0.5) if bright else (0.5, 0.9),
        waves=float(rng.choice([2.0, 3.5])),
        tilt=float(rng.choice([0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4])),
        stretch=float(rng.choice([0.75, 1.0, 1.3])),
    )


def draw(look: Look, rng: np.random.Generator) -> NDArray[np.uint8]:
    """An instance of a look: its colours, proportions and pattern vary.

    Returns:
        premultiplied RGBA, uint8 (64, 64, 4).
    """
    x, y = _across(look, rng)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    edge = _edge(look.outline, angle) * (1 + 0.06 * np.sin(2 * angle + rng.uniform(0, 6.28)))
    alpha = np.clip((edge - radius) * SPRITE / 4, 0, 1)
    if look.outline == 9:
        alpha *= np.clip((radius - 0.45 * edge) * SPRITE / 4, 0, 1)
    share = _pattern(look, x, y, rng)[:, :, None]
    body, mark = (_colour(look, part, rng) for part in (0, 1))
    light = (1.0 - 0.25 * (y + x * rng.uniform(-1, 1)))[:, :, None] * rng.uniform(0.75, 1.15)
    rim = np.where(edge - radius < 0.1, 0.6, 1.0)[:, :, None]
    colour = np.clip((body * (1 - share) + mark * share) * light * rim, 0, 1)
    sprite = np.concatenate([colour * alpha[:, :, None], alpha[:, :, None]], axis=2)
    return np.asarray(np.rint(sprite * 255), dtype=np.uint8)


def _across(look: Look, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Coordinates of the sprite's pixels in the body's own frame: turned, stretched, -1 to 1."""
    line = np.linspace(-1.15, 1.15, SPRITE, dtype=np.float32)
    x, y = np.meshgrid(line, line)
    turn, stretch = rng.uniform(-0.45, 0.45), np.sqrt(look.stretch * rng.uniform(0.85, 1.18))
    cos, sin = float(np.cos(turn)), float(np.sin(turn))
    mirror = -1.0 if rng.integers(2) else 1.0
    wide = np.float32(mirror / stretch)
    return (cos * x + sin * y) * wide, (cos * y - sin * x) * np.float32(stretch)


def _edge(outline: int, angle: Floats) -> Floats:
    """How far the body reaches in each direction, at most 1."""
    if outline in (0, 9):  # disc, ring
        return np.full_like(angle, 0.85)
    if outline in (1, 2, 3):  # triangle, square, pentagon
        step = 2 * np.pi / (outline + 2)
        reach: Floats = np.cos(step / 2) / np.cos((angle + np.pi / 2) % step - step / 2)
        return reach
    if outline in (4, 5):  # flowers
        lobes = 3 if outline == 4 else 6
        return np.asarray(0.72 + 0.26 * np.cos(lobes * angle), dtype=np.float32)
    if outline in (6, 7):  # stars
        points = 4 if outline == 6 else 5
        phase = np.abs(((angle + np.pi / 2) * points / (2 * np.pi)) % 1 - 0.5) * 2
        return np.asarray(0.4 + 0.6 * phase, dtype=np.float32)
    # a bar
    return np.asarray(
        np.minimum(1 / np.maximum(np.abs(np.sin(angle)), 1e-3),
                   0.42 / np.maximum(np.abs(np.cos(angle)), 1e-3)), dtype=np.float32,
    )  # fmt: skip


def _pattern(look: Look, x: Floats, y: Floats, rng: np.random.Generator) -> Floats:
    """The share of the second colour in each pixel, 0 to 1."""
    tilt = look.tilt + rng.uniform(-0.15, 0.15)
    along = (np.cos(tilt) * x + np.sin(tilt) * y).astype(np.float32)
    over = (np.cos(tilt) * y - np.sin(tilt) * x).astype(np.float32)
    waves = np.pi * look.waves * rng.uniform(0.85, 1.15)
    shift, slip = rng.uniform(0, 6.28, 2)
    if look.pattern == 0:  # plain
        value = np.full_like(x, -1.0)
    elif look.pattern == 1:  # stripes
        value = np.sin(waves * along + shift)
    elif look.pattern == 2:  # checks
        value = np.sin(waves * along + shift) * np.sin(waves * over + slip)
    elif look.pattern == 3:  # dots
        value = np.sin(waves * along + shift) + np.sin(waves * over + slip) - 0.9
    elif look.pattern == 4:  # rings
        value = np.sin(2 * waves * np.hypot(x, y) + shift)
    else:  # halves
        value = along + 0.3 * rng.uniform(-1, 1)
    return np.asarray(np.clip(value * 3 + 0.5, 0, 1), dtype=np.float32)


def _colour(look: Look, part: int, rng: np.random.Generator) -> Floats:
    hue = (look.hues[part] + rng.normal(0, 0.03)) % 1.0
    saturation = float(np.clip(rng.normal(0.65, 0.12), 0.3, 0.95))
    shade = float(np.clip(look.shades[part] * rng.normal(1.0, 0.1), 0.2, 1.0))
    return np.asarray(colorsys.hsv_to_rgb(hue, saturation, shade), dtype=np.float32)


def lay(
    picture: NDArray[np.uint8], sprite: NDArray[np.uint8], x: float, y: float, side: float
) -> None:
    """Draw a sprite into a picture (RGB, in place), centred at (x, y), ``side`` pixels large."""
    height, width = picture.shape[:2]
    left, top = int(np.floor(x - side / 2)), int(np.floor(y - side / 2))
    reach = int(np.ceil(side)) + 1
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + reach, width), min(top + reach, height)
    if x0 >= x1 or y0 >= y1:
        return
    scale = SPRITE / side
    back = np.array(
        [[scale, 0.0, (x0 - (x - side / 2)) * scale], [0.0, scale, (y0 - (y - side / 2)) * scale]]
    )
    size = (x1 - x0, y1 - y0)
    # Averaged down first: picking single pixels of a large sprite would shimmer.
    source = sprite
    while scale >= 2:
        source = np.asarray(cv2.resize(source, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
        scale, back = scale / 2, back / 2
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    drawn = cv2.warpAffine(source, back, size, flags=flags).astype(np.uint16)
    under = picture[y0:y1, x0:x1]
    kept = (under * (255 - drawn[:, :, 3:]) + 127) // 255
    under[...] = np.minimum(kept + drawn[:, :, :3], 255)
