"""The monitor of one camera: turns its counters into a situation that can be judged."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, replace

from polymorph_ros.ros.camera import Camera
from polymorph_ros.ros.counters import FrameCounters
from polymorph_ros.ros.health import Health, Situation, judge
from polymorph_ros.runtime.time_base import StampFault

_LEAST_WINDOW_S = 1.0


@dataclass(frozen=True)
class _Counts:
    """The counters at one moment."""

    time_s: float
    received: int
    unusable: int
    lost: int
    rejected_scores: int
    stamp_faults: Counter[StampFault]

    @classmethod
    def of(cls, counters: FrameCounters, time_s: float) -> _Counts:
        unusable = counters.failed + sum(counters.rejected.values())
        return cls(
            time_s, counters.received, unusable, counters.lost, counters.rejected_scores,
            counters.stamps.faults.copy(),
        )  # fmt: skip


class CameraMonitor:
    """Judges a camera over the last ``no_data_timeout`` seconds; for the executor's thread.

    Args:
        camera: the camera.
        timeout_s: the parameter ``no_data_timeout``; may be set at any time.
    """

    def __init__(self, camera: Camera, timeout_s: float) -> None:
        self.camera = camera
        self.timeout_s = timeout_s
        self._past = deque([_Counts.of(camera.counters, time.monotonic())])

    def health(self, *, look_for_publishers: bool = False) -> Health:
        """Judge this moment.

        Args:
            look_for_publishers: whether to ask the ROS graph why no image comes, if none does.
        """
        situation = self._situation()
        if look_for_publishers and (situation.silent or situation.arrival_s is None):
            situation = replace(situation, obstacle=self.camera.obstacle())
        return judge(situation)

    def _situation(self) -> Situation:
        camera, counters = self.camera, self.camera.counters
        now = _Counts.of(counters, time.monotonic())
        before = self._before(now)
        opened_s = camera.opened_s

        def since_opened(time_s: float | None) -> float | None:
            return time_s if time_s and opened_s and time_s >= opened_s else None

        return Situation(
            topic=camera.topic,
            timeout_s=self.timeout_s,
            now_s=now.time_s,
            opened_s=opened_s,
            arrival_s=since_opened(counters.last_arrival_s),
            answer_s=since_opened(counters.last_answer_s),
            waiting_since_s=counters.waiting_since_s,
            received=now.received - before.received,
            unusable=now.unusable - before.unusable,
            lost=now.lost - before.lost,
            rejected_scores=now.rejected_scores - before.rejected_scores,
            fault=counters.last_fault,
            largest_bytes=counters.largest_bytes,
            stamps=counters.stamps.judge(before.stamp_faults),
            asleep=camera.is_asleep,
        )

    def _before(self, now: _Counts) -> _Counts:
        """The newest counts that are older than the window, or the oldest there are."""
        start_s = now.time_s - max(self.timeout_s, _LEAST_WINDOW_S)
        self._past.append(now)
        while len(self._past) > 1 and self._past[1].time_s <= start_s:
            self._past.popleft()
        return self._past[0]
