"""Waiting for what a process brings about."""

from __future__ import annotations

import time
from collections.abc import Callable

from polymorph_ros.errors import PolymorphError
from polymorph_ros.ros.demo.child import Child

_DEADLINE_S = 180.0
_POLL_S = 0.01


def wait_for(condition: Callable[[], bool], what: str, child: Child) -> None:
    """Wait until the condition holds.

    Args:
        what: the condition in words, for the error.
        child: the process that brings it about.

    Raises:
        PolymorphError: it did not hold in time, or the process has ended.
    """
    end_s = time.monotonic() + _DEADLINE_S
    while not condition():
        child.check()
        if time.monotonic() > end_s:
            raise PolymorphError(what, f"none within {_DEADLINE_S:g} s", where=child.module)
        time.sleep(_POLL_S)
