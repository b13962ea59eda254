"""Readings that are taken by a thread, because they take long or are due at fixed times."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Periodic:
    """A daemon thread that calls an action every period until it says so or is closed.

    Args:
        action: gives whether to go on.
        period_s: between two calls.
        name: of the thread.
    """

    def __init__(self, action: Callable[[], bool], *, period_s: float, name: str) -> None:
        self._action = action
        self._period_s = period_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._period_s) and self._action():
            pass


class LastReading:
    """The last value of a slow reading, renewed every period by a thread.

    Args:
        read: the reading.
        period_s: between two readings.
        name: of the thread.

    Raises:
        Exception: what the first reading raises.
    """

    def __init__(self, read: Callable[[], float], *, period_s: float, name: str) -> None:
        self._read = read
        self._value = read()
        self._failure: Exception | None = None
        self._thread = Periodic(self._renew, period_s=period_s, name=name)
        self.close = self._thread.close

    def __call__(self) -> float:
        """The last value; raises what the reading raised, for good."""
        if self._failure is not None:
            raise self._failure
        return self._value

    def _renew(self) -> bool:
        try:
            self._value = self._read()
        except Exception as error:  # raised where the value is asked for
            self._failure = error
        return self._failure is None
