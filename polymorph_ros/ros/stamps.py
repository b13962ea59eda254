"""Stamps as whole nanoseconds, exactly; a float of seconds cannot hold one."""

from __future__ import annotations

from builtin_interfaces.msg import Time

from polymorph_ros.arrays import NS_PER_S


def to_ns(stamp: Time) -> int:
    """A stamp as whole nanoseconds."""
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


def to_stamp(nanoseconds: int) -> Time:
    """Whole nanoseconds as a stamp."""
    sec, nanosec = divmod(nanoseconds, NS_PER_S)
    return Time(sec=sec, nanosec=nanosec)


def latency_s(now_ns: int, stamp: Time) -> float | None:
    """Seconds from an image's stamp to now; none where the two clocks cannot be compared.

    A stamp of zero, a clock that has not started (no ``/clock`` yet) or a stamp from the
    future says nothing about latency.
    """
    stamp_ns = to_ns(stamp)
    if stamp_ns == 0 or now_ns == 0 or now_ns < stamp_ns:
        return None
    return (now_ns - stamp_ns) / NS_PER_S
