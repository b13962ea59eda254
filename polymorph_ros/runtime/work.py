"""What parts of a frame cost on this machine: learned from each frame, guessed before."""

from __future__ import annotations

import math

from polymorph_ros.bundle.manifest import OperatingPoint, TailTokens
from polymorph_ros.runtime.budget import Mean

LEARN_S = 2.0
"""Time constant of what is learned of costs."""


class Work:
    """Seconds of a frame's parts, for each picture size and each way to run tails.

    What was never tried is guessed from its multiply-adds. They leave out what does not shrink
    with a picture, so such a guess is never too high, and a point is tried before it is dropped.

    Args:
        fixed: of a computed frame without adapters, as a guess.
        adapter: of each adapter that runs.
        reused: of a frame whose result is reused.
    """

    def __init__(self, fixed: float = 1.0, adapter: float = 0.1, reused: float = 0.02) -> None:
        self._guess = fixed, adapter, reused
        self._fixed: dict[int, Mean] = {}
        self._adapter: dict[tuple[int, TailTokens | None], Mean] = {}
        self._reused = Mean(LEARN_S)

    def learn_reused(self, seconds: float, elapsed_s: float) -> None:
        """Take a frame that was not computed, and the seconds since the one before."""
        self._reused.add(seconds, elapsed_s)

    def learn(
        self, point: OperatingPoint, seconds: float, tails_s: float, adapters: int, elapsed_s: float
    ) -> None:
        """Take a frame that was computed at a point."""
        mean = self._fixed.setdefault(point.size, Mean(LEARN_S))
        mean.add(seconds - tails_s, elapsed_s)
        if adapters:
            key = point.size, point.tail_tokens
            mean = self._adapter.setdefault(key, Mean(LEARN_S))
            mean.add(tails_s / adapters, elapsed_s)

    @property
    def reused(self) -> float:
        """Seconds of a frame that is not computed."""
        known = self._reused.value
        return self._scale * self._guess[2] if math.isnan(known) else known

    def computed(self, point: OperatingPoint) -> float:
        """Seconds of a frame that is computed at a point."""
        fixed = self._fixed.get(point.size)
        adapter = self._adapter.get((point.size, point.tail_tokens))
        plain = self._adapter.get((0, None))
        each = plain.value if plain else self._scale * self._guess[1]
        return (
            fixed.value if fixed else point.trunk_work * self._scale * self._guess[0]
        ) + point.adapters * (adapter.value if adapter else point.adapter_work * each)

    def of(self, point: OperatingPoint) -> float:
        """Mean seconds of a frame at a point."""
        return point.computed * self.computed(point) + (1.0 - point.computed) * self.reused

    @property
    def _scale(self) -> float:
        """Of the guesses, once the first part is known."""
        known = self._fixed.get(0)
        return known.value / self._guess[0] if known else 1.0
