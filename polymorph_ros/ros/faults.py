"""Faults: as one line, for logs, diagnostics and responses; and those of callbacks, counted."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node

from polymorph_ros.errors import PolymorphError

_LOG_EVERY_S = 5.0


def one_line(error: BaseException) -> str:
    """An error in one line; a foreign one with its type, since its text may not stand alone."""
    text = " ".join(str(error).split())
    return text if isinstance(error, PolymorphError) else f"{type(error).__name__}: {text}"


class CallbackFaults:
    """What callbacks raised: logged at most every 5 s, and counted.

    Attributes:
        count: since the node was started.
        last: the last one, for people; empty if none.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self.count = 0
        self.last = ""

    def note(self, error: Exception, entity: Any) -> None:
        """Count an error and log it.

        Args:
            error: what was raised.
            entity: the subscription, service or timer whose callback it was; None if unknown.
        """
        self.count += 1
        self.last = f"{_described(entity)}: {one_line(error)}"
        if self._node.context.ok():
            self._node.get_logger().error(
                f"the node goes on after an error in {self.last}",
                throttle_duration_sec=_LOG_EVERY_S,
            )


def _described(entity: Any) -> str:
    for kind, name in (("subscription", "topic_name"), ("service", "srv_name")):
        if hasattr(entity, name):
            return f"the {kind} {getattr(entity, name)}"
    return "a callback" if entity is None else f"a {type(entity).__name__}"
