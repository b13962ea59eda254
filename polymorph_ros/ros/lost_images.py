"""How many of a topic's images were sent but never handed to this node."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

_MOST_PUBLISHERS = 16
_SAME_LOSS_S = 1.0  # within which the middleware reports what a gap has already shown


class LostImages:
    """Counts lost images by two witnesses, each of them once.

    Publishers number their messages, so that a gap shows how many are missing: lost on the way,
    overwritten in the middleware's queue, or unreadable. The middleware itself reports only the
    first kind, but also while no image comes through at all.

    Attributes:
        count: so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._numbers: dict[bytes, int] = {}  # by publisher: of its last message
        self._shown = 0  # by gaps, and not reported yet
        self._shown_s = 0.0
        self._reported = 0  # and not shown by a gap yet

    def received(self, info: Mapping[str, Any], *, counted: bool) -> None:
        """A message was received.

        Args:
            info: rclpy's ``MessageInfo``; without sequence numbers nothing is learned from it.
            counted: whether what is missing before it counts.
        """
        number = info.get("publication_sequence_number")
        if number is None:
            return
        publisher = info.get("publisher_gid", {}).get("data", b"")
        missing = max(number - self._numbers.pop(publisher, number - 1) - 1, 0)
        self._numbers[publisher] = number
        if len(self._numbers) > _MOST_PUBLISHERS:
            del self._numbers[next(iter(self._numbers))]
        if counted and missing:
            fresh = max(missing - self._reported, 0)
            self.count += fresh
            self._forget_old()
            self._shown += fresh
            self._shown_s = time.monotonic()
        self._reported = 0

    def reported(self, count: int) -> None:
        """The middleware says that so many more were lost."""
        self._forget_old()
        known = min(count, self._shown)
        self._shown -= known
        self._reported += count - known
        self.count += count - known

    def _forget_old(self) -> None:
        if time.monotonic() - self._shown_s > _SAME_LOSS_S:
            self._shown = 0
