"""Thresholds on belief: when a label is covered, becomes active, and ceases to be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polymorph_ros.bundle.manifest import Manifest
from polymorph_ros.runtime.belief import Floats, logit, sigmoid


@dataclass(frozen=True)
class Thresholds:
    """Per-label thresholds on belief, each of shape (labels,)."""

    on: Floats
    off: Floats
    watch: Floats

    @classmethod
    def of(cls, manifest: Manifest, shift: float = 0.0) -> Thresholds:
        """The bundle's thresholds, moved by some log-odds."""

        def values(name: str) -> Floats:
            return np.array([getattr(label, name) for label in manifest.labels])

        return cls(values("on"), values("off"), values("watch")).shifted(shift)

    def shifted(self, shift: float) -> Thresholds:
        """The same, moved by some log-odds."""

        def moved(values: Floats) -> Floats:
            return sigmoid(logit(values) + shift)

        return Thresholds(moved(self.on), moved(self.off), moved(self.watch))
