"""What the engine remembers of one camera between frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from polymorph_ros.bundle.manifest import ContextEntry, LabelEntry, Manifest
from polymorph_ros.runtime.belief import Floats, Mask, TwoStateFilter, logit, sigmoid
from polymorph_ros.runtime.result import ChangeKind, Cover, LabelChange

CORRELATION_S = 0.3  # how long the errors of neighbouring frames stay alike


@dataclass(frozen=True)
class Thresholds:
    """Per-label thresholds on belief, each of shape (labels,)."""

    on: Floats
    off: Floats
    watch: Floats

    @classmethod
    def of(cls, manifest: Manifest, shift: float = 0.0) -> Thresholds:
        """The bundle's thresholds, moved by some log-odds."""

        def moved(name: str) -> Floats:
            values = np.array([getattr(label, name) for label in manifest.labels])
            return sigmoid(logit(values) + shift)

        return cls(moved("on"), moved("off"), moved("watch"))


class CameraState:
    """Beliefs, active labels and cover of one camera.

    Attributes:
        stamp_ns: stamp of the last frame.
        active: mask of the active labels, shape (labels,).
        cover: the last frame's cover.
    """

    def __init__(self, manifest: Manifest, first_stamp_ns: int) -> None:
        self.labels = _filter(manifest.labels)
        self.contexts = _filter(manifest.contexts)
        self.stamp_ns = first_stamp_ns
        self.active: Mask = np.zeros(len(manifest.labels), dtype=np.bool_)
        self.cover: Cover | None = None
        self._first_stamp_ns = np.zeros(len(manifest.labels), dtype=np.int64)

    def predict(self, stamp_ns: int) -> None:
        """Go on to a frame's stamp, which is not before the last one's."""
        elapsed_s = (stamp_ns - self.stamp_ns) * 1e-9
        self.stamp_ns = stamp_ns
        self.labels.predict(elapsed_s)
        self.contexts.predict(elapsed_s)

    def in_play(self, thresholds: Thresholds) -> Mask:
        """Labels to cover: those at or above `watch`, and active ones that stay above `off`."""
        belief = self.labels.belief
        return (belief >= thresholds.watch) | (self.active & (belief >= thresholds.off))

    def update_active(self, thresholds: Thresholds) -> tuple[LabelChange, ...]:
        """Apply the thresholds with hysteresis; tell which labels appeared and vanished."""
        belief = self.labels.belief
        now = (belief >= thresholds.on) | (self.active & (belief >= thresholds.off))
        appeared, vanished = now & ~self.active, self.active & ~now
        self._first_stamp_ns[appeared] = self.stamp_ns
        self.active = now
        return self._changes(ChangeKind.APPEARED, appeared) + self._changes(
            ChangeKind.VANISHED, vanished
        )

    def _changes(self, kind: ChangeKind, mask: Mask) -> tuple[LabelChange, ...]:
        return tuple(
            LabelChange(
                kind, label, float(self.labels.belief[label]), int(self._first_stamp_ns[label])
            )
            for label in np.flatnonzero(mask).tolist()
        )


def _filter(entries: Sequence[LabelEntry | ContextEntry]) -> TwoStateFilter:
    return TwoStateFilter(
        prior=np.array([entry.prior for entry in entries]),
        appear_hz=np.array([entry.appear_hz for entry in entries]),
        vanish_hz=np.array([entry.vanish_hz for entry in entries]),
        correlation_s=CORRELATION_S,
    )
