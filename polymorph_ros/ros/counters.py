"""What happened to the frames of one camera: every frame received is in exactly one column."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field

from polymorph_ros.ros.stamp_health import StampHealth
from polymorph_ros.runtime.result import FrameResult

_RECENT = 100  # latencies kept for the median and the worst


@dataclass
class FrameCounters:
    """Counts since the node was configured, and the last fault.

    ``received = answered + dropped + rejected + failed`` plus a frame that waits or is at work.
    Each field is written by one thread only and read by others as it stands.

    Attributes:
        reused: of those answered, reused because the picture was as before.
        unknown_scenes: of those answered, from scenes unlike those of training.
        rejected_scores: scores in those answered that were not finite, and so left out.
        dropped: replaced by a fresher frame before the worker came to it.
        rejected: malformed, by reason.
        failed: raised an error in the engine; answered by NO_DATA.
        damaged: of those answered, damaged, though a picture could be decoded.
        lost: sent, but never handed to this node.
        last_fault: the last rejection or failure, for people.
        last_arrival_s, last_answer_s: by the monotonic clock.
        latencies_s: of the last answers, image stamp to publication, by the node's clock.
        stamps: what the camera's time goes by, and what was wrong with its stamps.
    """

    received: int = 0
    answered: int = 0
    reused: int = 0
    unknown_scenes: int = 0
    rejected_scores: int = 0
    dropped: int = 0
    failed: int = 0
    lost: int = 0
    damaged: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    last_fault: str = ""
    last_arrival_s: float | None = None
    last_answer_s: float | None = None
    largest_bytes: int = 0
    latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    stamps: StampHealth = field(default_factory=StampHealth)
    _waiting_since_s: float = 0.0

    @property
    def waiting_since_s(self) -> float | None:
        """Since when there has been an image that waits or is in work; None if there is none."""
        return self._waiting_since_s if self._unsettled else None

    @property
    def _unsettled(self) -> int:
        settled = self.answered + self.dropped + self.failed + sum(self.rejected.values())
        return self.received - settled

    def arrived(self, size_bytes: int) -> None:
        """Count an image that was received."""
        if not self._unsettled:
            self._waiting_since_s = time.monotonic()
        self.received += 1
        self.largest_bytes = max(self.largest_bytes, size_bytes)
        self.last_arrival_s = time.monotonic()

    def answer(self, result: FrameResult, latency_s: float | None) -> None:
        """Count an image whose result was published."""
        self.answered += 1
        self.reused += result.reused
        self.unknown_scenes += result.unknown_scene.unknown
        self.rejected_scores += result.rejected_scores
        self.last_answer_s = time.monotonic()
        if latency_s is not None:
            self.latencies_s.append(latency_s)

    def reject(self, reason: str, fault: str) -> None:
        """Count a malformed image, by reason."""
        self.rejected[reason] += 1
        self.last_fault = fault

    def fail(self, fault: str) -> None:
        """Count an image that the engine failed on."""
        self.failed += 1
        self.last_fault = fault
