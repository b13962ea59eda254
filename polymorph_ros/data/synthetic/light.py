"""Light and sensor: exposure, colour cast, gamma, vignetting, blur and noise of a scene."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

_SETTLE_S = 0.4  # time constant of the automatic exposure after a change of place
_TILE = 64  # offsets that the noise field can be rolled by


@lru_cache(maxsize=8)
def _noise_field(size: tuple[int, int]) -> NDArray[np.uint8]:
    width, height = size
    rng = np.random.default_rng(20250714)
    field = rng.normal(128.0, 32.0, (height + _TILE, width + _TILE, 3))
    return np.clip(field, 0, 255).astype(np.uint8)


class Light:
    """The light of one place for one visit, drawn from ``rng``."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._gain = float(np.exp(rng.normal(-0.06, 0.16)))
        self._cast = np.exp(rng.normal(0.0, 0.05, 3))
        self._gamma = float(np.exp(rng.normal(0.0, 0.14)))
        self._corner = float(rng.uniform(0.0, 0.4))
        self._slope = rng.uniform(-0.18, 0.18, 2)
        self._sway = float(rng.uniform(0.0, 0.1))
        self._period = float(rng.uniform(5.0, 14.0))
        self._start = float(rng.uniform(-0.5, 0.3))
        self._blur = float(rng.uniform(0.0, 0.005)) if rng.random() < 0.6 else 0.0
        self._noise = float(rng.uniform(0.0, 9.0))
        self._masks: dict[tuple[int, int], NDArray[np.uint8]] = {}

    def _mask(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Vignette and side light as an 8-bit factor (200 is 1), shape (height, width, 3)."""
        if size not in self._masks:
            width, height = size
            x = (np.arange(width) + 0.5) / width * 2 - 1
            y = (np.arange(height) + 0.5) / height * 2 - 1
            falloff = 1 - self._corner * (x[None, :] ** 2 + y[:, None] ** 2) / 2
            falloff = falloff * (1 + self._slope[0] * x[None, :] + self._slope[1] * y[:, None])
            grey = np.clip(falloff * 200, 0, 255).astype(np.uint8)
            self._masks[size] = np.repeat(grey[:, :, None], 3, axis=2)
        return self._masks[size]

    def _table(self, t: float) -> NDArray[np.uint8]:
        sway = 1 + self._sway * np.sin(2 * np.pi * t / self._period)
        settling = np.exp(self._start * np.exp(-t / _SETTLE_S))
        level = (np.arange(256) / 255.0) ** self._gamma
        table = 255 * level[:, None] * self._gain * sway * settling * self._cast[None, :]
        return np.clip(table, 0, 255).astype(np.uint8).reshape(1, 256, 3)

    def apply(self, picture: NDArray[np.uint8], t: float, stamp_ms: int) -> NDArray[np.uint8]:
        """The picture (uint8 RGB) in this light, ``t`` seconds after the place was entered."""
        height, width = picture.shape[:2]
        size = (width, height)
        lit = cv2.multiply(cv2.LUT(picture, self._table(t)), self._mask(size), scale=1 / 200)
        if self._blur * height > 0.25:
            lit = cv2.GaussianBlur(lit, (0, 0), self._blur * height)
        strength = self._noise / 32.0
        dx, dy = (stamp_ms * 7919) % _TILE, (stamp_ms * 104729 // 64) % _TILE
        noise = _noise_field(size)[dy : dy + height, dx : dx + width]
        return cv2.addWeighted(lit, 1.0, noise, strength, -128.0 * strength).astype(
            np.uint8, copy=False
        )
