"""One visit to a place: the things that stand there, the camera's path and the light."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.scenes.backgrounds import Span
from polymorph_ros.data.scenes.camera import CameraPath
from polymorph_ros.data.scenes.light import Light
from polymorph_ros.data.scenes.objects import KINDS, Layer, Motion, draw_sprite, silhouette
from polymorph_ros.data.scenes.pen import PAD
from polymorph_ros.data.scenes.places import PLACES, Place

MARGIN = 1.3  # units of the strip beyond the camera's path on both sides
_LEVELS = 4  # sprite sizes, each half of the one before
_KEPT = 0.75  # chance that a place has a label at all during one visit


@dataclass(frozen=True)
class Thing:
    """An object in a place.

    Attributes:
        x: the centre's place along the strip, in units, at the visit's start.
        base: where it stands, in units from the picture's top.
        height: in units.
        parallax: how much faster than the wall it passes; 1 at the wall.
        speed: units per second of its own; negative to the left.
        sprites: premultiplied RGBA, each half the size of the one before.
        mask: silhouette, uint8 0 or 1, at half the sprite's resolution.
    """

    label: str
    x: float
    base: float
    height: float
    parallax: float
    motion: Motion
    speed: float
    range: Span
    sprites: tuple[NDArray[np.uint8], ...]
    mask: NDArray[np.uint8]

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

    @property
    def half_width(self) -> float:
        """Units from the centre to either end."""
        return self.height * KINDS[self.label].aspect / 2

    def faces_left(self, t: float) -> bool:
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


class Visit:
    """A place, seen for ``duration`` seconds; everything in it follows from ``seed``."""

    def __init__(self, place: str, duration: float, seed: np.random.SeedSequence) -> None:
        layout, self.looks, path, light, self.sprite_seed = seed.spawn(5)
        self.place = place
        self.duration = duration
        self.camera = CameraPath(np.random.default_rng(path), duration)
        self.light = Light(np.random.default_rng(light))
        self.origin = self.camera.low - MARGIN
        self.length = self.camera.high - self.camera.low + 2 * MARGIN
        rng = np.random.default_rng(layout)
        self.floor = float(rng.uniform(0.66, 0.72))
        self.counter_top = self.floor - float(rng.uniform(0.12, 0.16))
        self.counters: list[Span] = []
        self.things = tuple(_Furnisher(self, PLACES[place], rng).furnish())


class _Furnisher:
    """Fills a visit's strip from left to right, layer by layer, back to front."""

    def __init__(self, visit: Visit, place: Place, rng: np.random.Generator) -> None:
        self._visit = visit
        self._place = place
        self._rng = rng
        self._sprites = np.random.default_rng(visit.sprite_seed)
        self._blocked: list[Span] = []
        self._choices: dict[Layer, tuple[list[str], NDArray[np.float64]]] = {}
        for layer in Layer:
            names = [name for name in place.weights if self._layer(name) is layer]
            kept = [name for name in names if rng.random() < _KEPT] or names
            weights = np.array([place.weights[name] for name in kept])
            self._choices[layer] = (kept, weights / max(weights.sum(), 1e-9))

    def _layer(self, label: str) -> Layer:
        layer = KINDS[label].layer
        return Layer.FLOOR if self._place.room is None and layer is Layer.COUNTER else layer

    def furnish(self) -> list[Thing]:
        wall = self._along_wall()
        return self._hang() + wall + self._on_floor()

    def _choose(self, layer: Layer, before: str = "") -> str | None:
        names, weights = self._choices[layer]
        if not names:
            return None
        name = str(self._rng.choice(names, p=weights))
        return str(self._rng.choice(names, p=weights)) if name == before else name

    def _along_wall(self) -> list[Thing]:
        things: list[Thing] = []
        rng, visit, room = self._rng, self._visit, self._place.room
        x, last = 0.0, ""
        while x < visit.length:
            if room is not None and rng.random() < room.counter:
                span = (x, x + float(rng.uniform(0.9, 1.7)))
                visit.counters.append(span)
                things += self._on_counter(span)
                x = span[1] + float(rng.uniform(0.02, 0.3))
                continue
            label = self._choose(Layer.FOOT, last)
            if label is None:
                break
            height = float(rng.uniform(*KINDS[label].height))
            width = height * KINDS[label].aspect
            things.append(self._thing(label, x + width / 2, visit.floor + 0.03, height))
            self._blocked.append((x, x + width))
            x += width + float(rng.uniform(0.1, 0.5 if room is not None else 0.9))
            last = label
        return things

    def _on_counter(self, span: Span) -> list[Thing]:
        things: list[Thing] = []
        x, last = span[0] + 0.04, ""
        while True:
            label = self._choose(Layer.COUNTER, last)
            if label is None:
                return things
            height = float(self._rng.uniform(*KINDS[label].height))
            width = height * KINDS[label].aspect
            if x + width > span[1] - 0.02:
                return things
            base = self._visit.counter_top + 0.02
            things.append(self._thing(label, x + width / 2, base, height))
            x += width + float(self._rng.uniform(0.04, 0.4))
            last = label

    def _hang(self) -> list[Thing]:
        things: list[Thing] = []
        rng = self._rng
        x = float(rng.uniform(0.0, 0.6))
        while x < self._visit.length:
            label = self._choose(Layer.HUNG)
            if label is None:
                return things
            height = float(rng.uniform(*KINDS[label].height))
            width = height * KINDS[label].aspect
            if all(x + width < low or x > high for low, high in self._blocked):
                base = float(rng.uniform(0.04, 0.1)) + height
                things.append(self._thing(label, x + width / 2, base, height))
                x += width + float(rng.uniform(0.6, 2.0))
            else:
                x += 0.1
        return things

    def _on_floor(self) -> list[Thing]:
        things: list[Thing] = []
        rng, visit = self._rng, self._visit
        x, last = float(rng.uniform(0.0, 0.8)), ""
        while x < visit.length:
            label = self._choose(Layer.FLOOR, last)
            if label is None:
                return things
            depth = float(rng.uniform(0.0, 1.0))
            base = visit.floor + 0.1 + (0.94 - visit.floor - 0.1) * depth
            height = float(rng.uniform(*KINDS[label].height)) * (0.92 + 0.2 * depth)
            width = height * KINDS[label].aspect
            things.append(self._thing(label, x + width / 2, base, height, parallax=1 + 0.2 * depth))
            x += width + float(rng.uniform(0.15, 0.9))
            last = label
        return sorted(things, key=lambda thing: thing.base)

    def _thing(
        self, label: str, x: float, base: float, height: float, parallax: float = 1.0
    ) -> Thing:
        rng, kind = self._rng, KINDS[label]
        origin, length = self._visit.origin, self._visit.length
        motion = kind.motion if rng.random() < 0.5 else Motion.STILL
        speed = float(rng.uniform(0.3, 1.0)) * kind.top_speed * (1 if rng.random() < 0.5 else -1)
        if kind.motion is Motion.STILL:
            speed = 1.0 if rng.random() < 0.5 else -1.0  # only says which way it faces
        x += origin
        reach = (origin - 0.5, origin + length + 0.5)
        if motion is Motion.STROLL:
            reach = (x - float(rng.uniform(0.2, 0.8)), x + float(rng.uniform(0.2, 0.8)))
        sprites = [draw_sprite(label, self._sprites)]
        mask = (silhouette(sprites[0])[::2, ::2] > 0).astype(np.uint8)
        for _ in range(_LEVELS - 1):
            sprites.append(_halved(sprites[-1]))
        return Thing(label, x, base, height, parallax, motion, speed, reach, tuple(sprites), mask)


def _halved(sprite: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = sprite.shape[:2]
    return cv2.resize(sprite, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
