"""Spinning that a callback cannot end: what one raises is passed on, and the next one runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from rclpy.exceptions import InvalidHandle
from rclpy.executors import (
    ExternalShutdownException,
    ShutdownException,
    SingleThreadedExecutor,
    TimeoutException,
)

OnFault = Callable[[Exception, Any], None]
"""Called with what was raised and the subscription, service or timer that it was raised for."""

_MOST_FAILED_WAITS = 10
_WAIT_AGAIN_S = 0.01


class SpinError(Exception):
    """Waiting for callbacks failed again and again: spinning cannot go on."""


class SteadyExecutor(SingleThreadedExecutor):
    """Executes callbacks in the thread that spins, and goes on after one that raises.

    rclpy's own executors end with the first error of any callback, their own ones included: a
    parameter of an unknown type, a negative ``/clock`` or a message that cannot be decoded.

    Args:
        on_fault: takes each error; must not raise.
        kwargs: of ``SingleThreadedExecutor``, such as `context`.
    """

    def __init__(self, on_fault: OnFault, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._on_fault = on_fault
        self._failed_waits = 0

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Wait for one callback and execute it.

        Raises:
            ExternalShutdownException: the context was shut down.
            SpinError: waiting fails, so no callback would ever be executed again.
        """
        try:
            handler, entity, _node = self.wait_for_ready_callbacks(timeout_sec)
        except (ShutdownException, TimeoutException):
            return
        except ExternalShutdownException:
            raise
        except Exception as error:
            self._wait_again(error)
            return
        self._failed_waits = 0
        handler()
        fault = handler.exception()
        if fault is None:
            return
        if not self.context.ok():  # a callback that could not publish any more
            raise ExternalShutdownException from fault
        _release(entity)
        self._on_fault(fault, entity)

    def _wait_again(self, error: Exception) -> None:
        """Take up waiting after an error in it, unless it is one that stays."""
        if not self.context.ok():
            raise ExternalShutdownException from error
        self._failed_waits += 1
        if self._failed_waits >= _MOST_FAILED_WAITS:
            raise SpinError(f"{type(error).__name__}: {error}") from error
        if not isinstance(error, InvalidHandle):  # else something was destroyed in the meantime
            self._on_fault(error, None)
        time.sleep(_WAIT_AGAIN_S)


def _release(entity: Any) -> None:
    """Let an entity be executed again whose message could not even be taken.

    rclpy leaves it marked as busy, and its callback group locked for all others.
    """
    if entity is None:
        return
    entity._executor_event = False
    with suppress(AssertionError):  # the group was released in order
        entity.callback_group.ending_execution(entity)
