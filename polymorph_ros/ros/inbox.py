"""The inbox: one slot per camera, in which the freshest frame waits for the worker."""

from __future__ import annotations

import threading
import time
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Inbox(Generic[Item]):
    """One slot per key; a newer item replaces the waiting one, the longest waiting goes first.

    A replaced item keeps its place in the queue, so a fast camera cannot push out a slow one.
    All methods are thread-safe; only one thread takes.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[str, Item] = {}  # in order of arrival
        self._not_before: dict[str, float] = {}
        self._min_interval_s = 0.0
        self._woken = False

    def put(self, key: str, item: Item) -> bool:
        """Leave an item; whether it replaced one that was still waiting."""
        with self._changed:
            replaced = key in self._waiting
            self._waiting[key] = item
            self._changed.notify()
            return replaced

    def take(self, timeout_s: float) -> tuple[str, Item] | None:
        """Take the item that has waited longest; none after the timeout or when woken."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not self._woken:
                now = time.monotonic()
                key = self._next(now)
                if key is not None:
                    self._not_before[key] = now + self._min_interval_s
                    return key, self._waiting.pop(key)
                if now >= deadline:
                    return None
                self._changed.wait(min(deadline, self._next_due(deadline)) - now)
            self._woken = False
            return None

    def _next(self, now: float) -> str | None:
        for key in self._waiting:
            if self._not_before.get(key, now) <= now:
                return key
        return None

    def _next_due(self, deadline: float) -> float:
        return min((self._not_before[key] for key in self._waiting), default=deadline)

    def wake(self) -> None:
        """Make the present or the next `take` return at once."""
        with self._changed:
            self._woken = True
            self._changed.notify()

    def limit_rate(self, max_rate_hz: float) -> None:
        """From now on hand out at most so many items per second and key; 0 for no limit."""
        with self._changed:
            self._min_interval_s = 1.0 / max_rate_hz if max_rate_hz > 0 else 0.0
            self._not_before.clear()
            self._changed.notify()

    def clear(self) -> list[str]:
        """Throw away what waits; whose items they were."""
        with self._changed:
            left = list(self._waiting)
            self._waiting.clear()
            return left
