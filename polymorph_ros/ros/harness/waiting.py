"""Waiting for what another process brings about."""

from __future__ import annotations

import time
from collections.abc import Callable

from polymorph_ros.errors import PolymorphError

DEADLINE_S = 180.0
_POLL_S = 0.01


def wait_until(
    condition: Callable[[], bool],
    what: str,
    check: Callable[[], None],
    *,
    deadline_s: float = DEADLINE_S,
    state: Callable[[], str] = lambda: "none",
) -> None:
    """Wait for a condition.

    Args:
        condition: asked again and again.
        what: the condition in plain text, for the error.
        check: called again and again; may raise to end the waiting.
        deadline_s: how long to wait, seconds.
        state: what was found instead, for the error.

    Raises:
        PolymorphError: it did not come true in time.
    """
    end_s = time.monotonic() + deadline_s
    while not condition():
        check()
        if time.monotonic() > end_s:
            raise PolymorphError(f"{what} within {deadline_s:g} s", state())
        time.sleep(_POLL_S)
