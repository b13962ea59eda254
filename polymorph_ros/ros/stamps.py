"""Stamps of messages."""

from __future__ import annotations

from builtin_interfaces.msg import Time

from polymorph_ros.arrays import NS_PER_S
from polymorph_ros.interfaces.stamps import stamp_fields, to_ns


def to_stamp(nanoseconds: int) -> Time:
    """Whole nanoseconds as a stamp."""
    return Time(**stamp_fields(nanoseconds))


def latency_s(now_ns: int, stamp: Time) -> float | None:
    """Seconds from an image's stamp to now; none where the two clocks cannot be compared.

    A stamp of zero, a clock that has not started (no ``/clock`` yet) or a stamp from the
    future says nothing about latency.
    """
    stamp_ns = to_ns(stamp)
    if stamp_ns == 0 or now_ns == 0 or now_ns < stamp_ns:
        return None
    return (now_ns - stamp_ns) / NS_PER_S
