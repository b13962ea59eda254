"""What a camera's time goes by, and what is wrong with its stamps, for diagnostics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from polymorph_ros.arrays import NS_PER_S
from polymorph_ros.interfaces.stamps import AHEAD_NS
from polymorph_ros.runtime.time_base import CameraClock, FrameTime, StampFault

_BY_RECEIPT = "time goes by the receipt of images; correct the driver's stamps"


@dataclass
class StampHealth:
    """Counts of one camera since the node was configured; written by the worker only.

    Attributes:
        clock: what the camera's time went by at the last answer.
        faults: how many answered images had a stamp with which fault.
        ahead_ns: how far the last answered image's stamp lay ahead of the node's clock.
    """

    clock: CameraClock = CameraClock.STAMPS
    faults: Counter[StampFault] = field(default_factory=Counter)
    ahead_ns: int = 0

    def take(self, time: FrameTime, stamp_ns: int, now_ns: int) -> None:
        """Count an answered image.

        Args:
            time: its time, as the engine took it.
            stamp_ns: its stamp.
            now_ns: by the node's clock; 0 where that has not started.
        """
        self.clock = time.clock
        self.faults[time.fault] += 1
        self.ahead_ns = stamp_ns - now_ns if now_ns else 0

    def judge(self, before: Counter[StampFault]) -> str:
        """What is wrong with the stamps since the counts were `before`; empty where nothing is."""
        still, jumps, late = (
            self.faults[fault] - before[fault]
            for fault in (StampFault.STILL, StampFault.JUMP, StampFault.LATE)
        )
        if self.clock is CameraClock.RECEIPT:
            return f"stamps {'stand still' if still >= jumps else 'jump'}: {_BY_RECEIPT}"
        if jumps:
            return f"stamps jump: {jumps} image(s) were stamped far from the one before"
        if self.ahead_ns > AHEAD_NS:
            ahead_s = self.ahead_ns / NS_PER_S
            return (
                f"stamps lie ahead of this node's clock by {ahead_s:.2f} s: synchronise the clocks"
            )
        if late:
            return f"stamps jump back: {late} late image(s) were answered without moving time"
        return ""
