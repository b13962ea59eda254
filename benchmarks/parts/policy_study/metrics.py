"""Metrics of a policy on label traces, added up sequence by sequence."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.arrays import Mask
from polymorph_ros.evaluation.metrics.discovery import appearances


@dataclass(frozen=True)
class Played:
    """What a policy did in one sequence.

    Attributes:
        beliefs: float32 of shape (frames, labels).
        active: bool of shape (frames, labels).
        adapters: which ran, bool of shape (frames, contexts).
    """

    beliefs: NDArray[np.float32]
    active: Mask
    adapters: Mask


@dataclass
class Tally:
    """Sums over sequences.

    A flap is a change of a label's active state into what the truth of that frame denies: a false
    alarm begins, or a label that is there is dropped. A delay is the frames from a label's first
    frame to its first active one; a run that was missed counts with its length.
    """

    members: Mask
    frames: int = 0
    adapters: int = 0
    present: int = 0
    covered: int = 0
    hits: int = 0
    called: int = 0
    flaps: int = 0
    missed: int = 0
    seconds: float = 0.0
    delays: list[int] = field(default_factory=list)

    def add(self, played: Played, truth: Mask, stamps_s: NDArray[np.float64]) -> None:
        """Enter a sequence; ``truth`` is bool of shape (frames, labels)."""
        covered = (played.adapters.astype(np.float32) @ self.members.astype(np.float32)) > 0
        self.frames += len(truth)
        self.adapters += int(played.adapters.sum())
        self.present += int(truth.sum())
        self.covered += int((covered & truth).sum())
        self.hits += int((played.active & truth).sum())
        self.called += int(played.active.sum())
        before = np.vstack([np.zeros_like(played.active[:1]), played.active[:-1]])
        self.flaps += int(((before != played.active) & (played.active != truth)).sum())
        frame_s = float(np.median(np.diff(stamps_s))) if len(stamps_s) > 1 else 0.0
        self.seconds += float(stamps_s[-1] - stamps_s[0]) + frame_s
        for one in appearances(played.active, truth.astype(np.int8)):
            self.missed += one.delay == one.frames
            self.delays.append(one.delay)

    def row(self) -> dict[str, float]:
        """The metrics by their names."""
        delays = np.array(self.delays or [0])
        return {
            "frames": self.frames,
            "adapters_per_frame": self.adapters / max(1, self.frames),
            "covered": self.covered / max(1, self.present),
            "delay_median_frames": float(np.median(delays)),
            "delay_p95_frames": float(np.percentile(delays, 95)),
            "missed_runs": self.missed / max(1, len(self.delays)),
            "flaps_per_minute": 60.0 * self.flaps / max(1e-9, self.seconds),
            "f1": 2.0 * self.hits / max(1, self.called + self.present),
        }
