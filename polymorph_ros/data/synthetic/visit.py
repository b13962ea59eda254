"""One visit to a place: the things that stand there, the camera's path and the light."""

from __future__ import annotations

import numpy as np

from polymorph_ros.data.synthetic.camera import CameraPath
from polymorph_ros.data.synthetic.furnish import Furnisher, Plan
from polymorph_ros.data.synthetic.light import Light
from polymorph_ros.data.synthetic.places import PLACES

MARGIN = 1.3  # units of the strip beyond the camera's path on both sides


class Visit:
    """A place, seen for ``duration`` seconds; everything in it follows from ``seed``.

    ``looks`` seeds the background's colours and patterns.
    """

    def __init__(self, place: str, duration: float, seed: np.random.SeedSequence) -> None:
        layout, self.looks, path, light, sprites = seed.spawn(5)
        self.place = place
        self.duration = duration
        self.camera = CameraPath(np.random.default_rng(path), duration)
        self.light = Light(np.random.default_rng(light))
        rng = np.random.default_rng(layout)
        floor = float(rng.uniform(0.66, 0.72))
        self.plan = Plan(
            origin=self.camera.low - MARGIN,
            length=self.camera.high - self.camera.low + 2 * MARGIN,
            floor=floor,
            counter_top=floor - float(rng.uniform(0.12, 0.16)),
        )
        furnisher = Furnisher(PLACES[place], self.plan, rng, np.random.default_rng(sprites))
        self.things = tuple(furnisher.furnish())
        self.counters = tuple(furnisher.counters)
