"""Thresholds on belief: when a label is covered, becomes active, and ceases to be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.arrays import Floats
from polymorph_ros.bundle.manifest import Manifest
from polymorph_ros.runtime.belief import logit, sigmoid

_HYSTERESIS = 1.0  # log-odds between on and off


@dataclass(frozen=True)
class Thresholds:
    """Per-label thresholds on belief, each of shape (labels,)."""

    on: Floats
    off: Floats
    cover: Floats

    @classmethod
    def of(cls, manifest: Manifest, shift: float = 0.0) -> Thresholds:
        """The bundle's thresholds, moved by some log-odds."""

        def values(name: str) -> Floats:
            return np.array([getattr(label, name) for label in manifest.labels])

        return cls(values("on"), values("off"), values("cover")).shifted(shift)

    def shifted(self, shift: float) -> Thresholds:
        """The same, moved by some log-odds."""

        def moved(values: Floats) -> Floats:
            return sigmoid(logit(values) + shift)

        return Thresholds(moved(self.on), moved(self.off), moved(self.cover))


def off_below(on: Floats) -> Floats:
    """The off-thresholds that belong to on-thresholds where only those are chosen."""
    return sigmoid(logit(on) - _HYSTERESIS)


def held_active(
    beliefs: NDArray[np.float32], on: Floats | float, off: Floats | float
) -> NDArray[np.bool_]:
    """What is active in one sequence: from `on` up, then as long as from `off` up.

    The policy's own rule without its dwell, which is shorter than a frame at any usual rate.

    Args:
        beliefs: (frames, ...).
        on, off: broadcast against a frame's beliefs.

    Returns:
        (frames, ...), as wide as beliefs and thresholds together.
    """
    comes, stays = beliefs >= on, beliefs >= off
    active = np.empty(comes.shape, dtype=np.bool_)
    before = np.zeros(comes.shape[1:], dtype=np.bool_)
    for frame in range(len(active)):
        before = active[frame] = comes[frame] | (before & stays[frame])
    return active
