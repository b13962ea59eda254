"""The moving camera: pans with pauses, slow zoom and a hand's jitter, as functions of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PAN_SPEED = (0.12, 0.4)  # picture heights per second
Affine = NDArray[np.float64]


@dataclass(frozen=True)
class View:
    """Where the camera looks: centre in units, zoom (1 shows one unit of height), roll in rad."""

    x: float
    y: float
    zoom: float
    roll: float

    def matrix(self, size: tuple[int, int], parallax: float = 1.0) -> Affine:
        """(2, 3) map from units to pixels of a picture of ``size`` (width, height).

        ``parallax`` > 1 is nearer than the wall and passes faster.
        """
        width, height = size
        scale = self.zoom * height
        cos, sin = scale * np.cos(self.roll), scale * np.sin(self.roll)
        linear = np.array([[cos * parallax, -sin], [sin * parallax, cos]])
        offset = np.array([width / 2, height / 2]) - linear @ np.array([self.x, self.y])
        return np.column_stack([linear, offset])


class CameraPath:
    """A path of ``duration`` seconds; its x stays inside ``low`` to ``high``."""

    def __init__(self, rng: np.random.Generator, duration: float) -> None:
        times, places = [0.0], [0.0]
        heading = 1.0 if rng.random() < 0.5 else -1.0
        while times[-1] < duration:
            pause = float(rng.uniform(0.3, 1.8)) if rng.random() < 0.5 else 0.0
            if pause:
                times.append(times[-1] + pause)
                places.append(places[-1])
            stretch = float(rng.uniform(1.5, 5.0))
            if rng.random() < 0.3:
                heading = -heading
            times.append(times[-1] + stretch)
            places.append(places[-1] + heading * stretch * float(rng.uniform(*PAN_SPEED)))
        self._times = np.asarray(times)
        self._places = np.asarray(places)
        self.low = float(self._places.min())
        self.high = float(self._places.max())
        self._zoom = float(rng.uniform(0.95, 1.12))
        self._swing = float(rng.uniform(0.0, 0.07))
        self._shake = float(rng.uniform(0.0, 0.006))
        self._phases = rng.uniform(0, 2 * np.pi, 8)
        self._rates = rng.uniform(0.8, 1.25, 8)

    def _wave(self, index: int, t: float, hertz: float) -> float:
        rate = 2 * np.pi * hertz * self._rates[index]
        return float(np.sin(rate * t + self._phases[index]))

    def at(self, t: float) -> View:
        """The view at ``t`` seconds."""
        leg = int(np.clip(np.searchsorted(self._times, t, "right") - 1, 0, len(self._times) - 2))
        start, end = self._times[leg], self._times[leg + 1]
        part = min(1.0, (t - start) / (end - start))
        smooth = part * part * (3 - 2 * part)
        x = self._places[leg] + smooth * (self._places[leg + 1] - self._places[leg])
        shake = self._shake
        return View(
            x=float(x) + shake * (self._wave(0, t, 1.7) + 0.5 * self._wave(1, t, 4.1)),
            y=0.5 + 0.02 * self._wave(2, t, 0.13) + shake * self._wave(3, t, 2.3),
            zoom=self._zoom * (1 + self._swing * self._wave(4, t, 0.07)),
            roll=0.012 * self._wave(5, t, 0.21) + shake * self._wave(6, t, 1.3),
        )
