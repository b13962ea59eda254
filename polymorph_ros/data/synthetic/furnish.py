"""What stands where in a place: each layer filled by the place's label weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.synthetic.backgrounds import Span
from polymorph_ros.data.synthetic.objects import KINDS, Layer, Motion
from polymorph_ros.data.synthetic.places import Place
from polymorph_ros.data.synthetic.thing import Thing, draw_looks

_KEPT = 0.75  # chance that a place has a label at all during one visit


@dataclass(frozen=True)
class Plan:
    """The bare room: a strip of ``length`` units from ``origin``, and two heights.

    ``floor`` is where wall and floor meet, ``counter_top`` how high counters are, both in units
    from the picture's top.
    """

    origin: float
    length: float
    floor: float
    counter_top: float


class Furnisher:
    """Fills a plan from left to right, layer by layer; ``rng`` places, ``looks`` draws.

    After ``furnish``, ``counters`` says where counters stand, in units from the strip's start.
    """

    def __init__(
        self, place: Place, plan: Plan, rng: np.random.Generator, looks: np.random.Generator
    ) -> None:
        self.counters: list[Span] = []
        self._place = place
        self._plan = plan
        self._rng = rng
        self._looks = looks
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
        """All things, those farthest away first."""
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
        rng, plan, room = self._rng, self._plan, self._place.room
        x, last = 0.0, ""
        while x < plan.length:
            if room is not None and rng.random() < room.counter:
                span = (x, x + float(rng.uniform(0.9, 1.7)))
                self.counters.append(span)
                things += self._on_counter(span)
                x = span[1] + float(rng.uniform(0.02, 0.3))
                continue
            label = self._choose(Layer.FOOT, last)
            if label is None:
                break
            height = float(rng.uniform(*KINDS[label].height))
            width = height * KINDS[label].aspect
            things.append(self._thing(label, x + width / 2, plan.floor + 0.03, height))
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
            base = self._plan.counter_top + 0.02
            things.append(self._thing(label, x + width / 2, base, height))
            x += width + float(self._rng.uniform(0.04, 0.4))
            last = label

    def _hang(self) -> list[Thing]:
        things: list[Thing] = []
        rng = self._rng
        x = float(rng.uniform(0.0, 0.6))
        while x < self._plan.length:
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
        rng, plan = self._rng, self._plan
        x, last = float(rng.uniform(0.0, 0.8)), ""
        while x < plan.length:
            label = self._choose(Layer.FLOOR, last)
            if label is None:
                return things
            depth = float(rng.uniform(0.0, 1.0))
            base = plan.floor + 0.1 + (0.94 - plan.floor - 0.1) * depth
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
        origin, length = self._plan.origin, self._plan.length
        motion = kind.motion if rng.random() < 0.5 else Motion.STILL
        speed = float(rng.uniform(0.3, 1.0)) * kind.top_speed * (1 if rng.random() < 0.5 else -1)
        if kind.motion is Motion.STILL:
            speed = 1.0 if rng.random() < 0.5 else -1.0  # only says which way it faces
        x += origin
        reach = (origin - 0.5, origin + length + 0.5)
        if motion is Motion.STROLL:
            reach = (x - float(rng.uniform(0.2, 0.8)), x + float(rng.uniform(0.2, 0.8)))
        looks = draw_looks(label, self._looks)
        return Thing(label, x, base, height, looks, parallax, motion, speed, reach)
