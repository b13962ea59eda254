"""Stamps as whole nanoseconds, exactly; a float of seconds cannot hold one."""

from __future__ import annotations

from typing import Protocol

from polymorph_ros.arrays import NS_PER_S

AHEAD_NS = NS_PER_S // 10
"""How far a stamp may lie ahead of now: clocks of two computers agree no better than this."""


class Stamp(Protocol):
    """``builtin_interfaces/msg/Time``, of rclpy or of rosbags."""

    @property
    def sec(self) -> int:
        """Whole seconds."""
        ...

    @property
    def nanosec(self) -> int:
        """Nanoseconds beyond them."""
        ...


def to_ns(stamp: Stamp) -> int:
    """A stamp as whole nanoseconds."""
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


def stamp_fields(nanoseconds: int) -> dict[str, int]:
    """Whole nanoseconds as the fields of a stamp.

    >>> stamp_fields(1_500_000_000)
    {'sec': 1, 'nanosec': 500000000}
    """
    sec, nanosec = divmod(nanoseconds, NS_PER_S)
    return {"sec": sec, "nanosec": nanosec}
