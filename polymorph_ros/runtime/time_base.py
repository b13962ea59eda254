"""A camera's time: from its stamps where they are sane, from the times of receipt where not.

Stamps are claims of a camera. Some drivers leave them at zero, some repeat one for a while, some
swap neighbours, some start before the clock was set. Beliefs, reuse and unknown scenes live on the
time given here. It never goes back, but where a camera starts anew.

=================================  ================================================================
stamp of a frame                   what happens
=================================  ================================================================
goes on                            believed: time is the stamp
a little back (up to ``LATE_S``)   late: answered without moving time. The next one that goes on
                                   from it is believed: the camera's clock was corrected
ahead or far back                  doubted until the next frame: an outlier is forgotten. Where the
                                   next one goes on from it, time jumps ahead with it (a pause in
                                   a recording), or the camera starts anew (a recording that loops)
stands still                       after ``STILL_S`` time goes by receipt, until stamps go on
=================================  ================================================================

Without times of receipt (offline) every stamp ahead is believed, one up to ``LATE_S`` back is late,
and one before that starts the camera anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from polymorph_ros.arrays import NS_PER_S

LATE_S = 1.0  # transport and drivers swap neighbours; no recording that loops is so short
AHEAD_S = 1.0  # that a stamp may go on beyond the time that has passed by receipt
STILL_S = 0.5  # shorter than any label is allowed to be active by mistake

_LATE_NS = round(LATE_S * NS_PER_S)
_AHEAD_NS = round(AHEAD_S * NS_PER_S)
_STILL_NS = round(STILL_S * NS_PER_S)
# A recording may be played at another pace. Below this share of it, stamps stand still: some
# drivers count frames in the field of nanoseconds.
_SLOWEST = 1000
# Steps of a recording that is played fast are alike within this factor, and no longer than this.
_ALIKE = 3
_LONGEST_STEP_NS = 3600 * NS_PER_S


class CameraClock(Enum):
    """What a camera's time goes by."""

    STAMPS = "stamps"
    RECEIPT = "receipt"


class StampFault(Enum):
    """What is wrong with the stamp of one frame."""

    NONE = ""
    LATE = "late"
    STILL = "still"
    JUMP = "jump"


@dataclass(frozen=True)
class FrameTime:
    """When a frame was taken, by its camera's time.

    Attributes:
        ns: nanoseconds; for sane stamps the stamp itself.
        clock: what the camera goes by now.
        fault: what is wrong with the frame's stamp.
        restarted: why the camera starts anew with this frame; empty where it does not.
    """

    ns: int
    clock: CameraClock = CameraClock.STAMPS
    fault: StampFault = StampFault.NONE
    restarted: str = ""


@dataclass(frozen=True)
class _Mark:
    """A frame: its stamp and its time of receipt (none offline), nanoseconds."""

    stamp_ns: int
    received_ns: int | None


class TimeBase:
    """The time of one camera.

    >>> base = TimeBase()
    >>> [base.take(stamp_ns).ns for stamp_ns in (100, 300, 200, 400)]
    [100, 300, 300, 400]
    """

    def __init__(self) -> None:
        self._begun = False
        self._ns = 0
        self._believed_ns = 0  # time of the last frame whose stamp was believed
        self._believed = self._last = _Mark(0, None)
        self._step_ns = 0  # between the last two frames that were received
        self._doubted: _Mark | None = None  # the first frame since then
        self._clock = CameraClock.STAMPS

    def take(self, stamp_ns: int, received_ns: int | None = None) -> FrameTime:
        """Go on to a frame.

        Args:
            stamp_ns: its stamp.
            received_ns: when it was received, by a clock that never jumps; none offline.
        """
        frame, last = _Mark(stamp_ns, received_ns), self._last
        if not self._begun:
            self._begun, self._ns = True, stamp_ns
            time = self._believe(frame, stamp_ns)
        elif _goes_on(self._believed, frame, 0 if self._doubted else self._step_ns):
            time = self._believe(frame, self._believed_ns + stamp_ns - self._believed.stamp_ns)
        elif self._doubted is not None and _goes_on(last, frame, self._step_ns):
            time = self._go_over_to(frame)
        elif received_ns is None and self._believed.stamp_ns - stamp_ns > _LATE_NS:
            time = self._start_anew(frame)
        else:
            time = self._doubt(frame)
        self._step_ns = stamp_ns - last.stamp_ns
        self._last, self._clock = frame, time.clock
        return time

    def _believe(
        self, frame: _Mark, ns: int, fault: StampFault = StampFault.NONE, restarted: str = ""
    ) -> FrameTime:
        self._ns = ns if restarted else max(self._ns, ns)
        self._believed, self._believed_ns, self._doubted = frame, self._ns, None
        return FrameTime(self._ns, CameraClock.STAMPS, fault, restarted)

    def _go_over_to(self, frame: _Mark) -> FrameTime:
        """Two frames in a row agree on stamps that do not go on from the believed ones."""
        jump_ns = frame.stamp_ns - self._believed.stamp_ns
        if jump_ns < -_LATE_NS:
            return self._start_anew(frame)
        if self._clock is CameraClock.RECEIPT:  # the time that has passed is known
            return self._believe(frame, self._received(frame), StampFault.JUMP)
        if jump_ns > 0:
            return self._believe(frame, self._believed_ns + jump_ns, StampFault.JUMP)
        step_ns = frame.stamp_ns - self._last.stamp_ns
        return self._believe(frame, self._ns + step_ns, StampFault.LATE)

    def _start_anew(self, frame: _Mark) -> FrameTime:
        back_s = (self._believed.stamp_ns - frame.stamp_ns) / NS_PER_S
        reason = f"stamps jumped back by {back_s:.3f} s: started anew"
        return self._believe(frame, frame.stamp_ns, StampFault.JUMP, reason)

    def _doubt(self, frame: _Mark) -> FrameTime:
        """Leave time where it is; go by receipt where that lasts."""
        if self._doubted is None:
            self._doubted = frame
        if self._by_receipt(frame):
            self._ns = max(self._ns, self._received(frame))
            return FrameTime(self._ns, CameraClock.RECEIPT, self._fault(frame))
        return FrameTime(self._ns, CameraClock.STAMPS, self._fault(frame))

    def _by_receipt(self, frame: _Mark) -> bool:
        doubted_ns = _between(self._doubted, frame)
        return doubted_ns is not None and doubted_ns >= _STILL_NS

    def _received(self, frame: _Mark) -> int:
        """The time of a frame by receipt."""
        return self._believed_ns + (_between(self._believed, frame) or 0)

    def _fault(self, frame: _Mark) -> StampFault:
        step_ns = frame.stamp_ns - self._last.stamp_ns
        if 0 <= step_ns < _slowest(self._last, frame):
            return StampFault.STILL
        jump_ns = frame.stamp_ns - self._believed.stamp_ns
        return StampFault.LATE if -_LATE_NS <= jump_ns < 0 else StampFault.JUMP


def _between(earlier: _Mark | None, later: _Mark) -> int | None:
    """Nanoseconds between two frames by receipt; none offline."""
    if earlier is None or earlier.received_ns is None or later.received_ns is None:
        return None
    return later.received_ns - earlier.received_ns


def _slowest(earlier: _Mark, later: _Mark) -> int:
    """By how much the stamp of a later frame has to be greater, at least, nanoseconds."""
    received_ns = _between(earlier, later)
    # A player that was paused: what has passed by receipt says little, so it is bounded.
    return 0 if received_ns is None else max(1, min(received_ns, NS_PER_S) // _SLOWEST)


def _goes_on(earlier: _Mark, later: _Mark, usual_ns: int = 0) -> bool:
    """Whether a stamp goes on from an earlier one as time did, or by a step as usual."""
    step_ns = later.stamp_ns - earlier.stamp_ns
    received_ns = _between(earlier, later)
    if received_ns is None:
        return step_ns >= 0
    if step_ns < _slowest(earlier, later):
        return False
    return step_ns - received_ns <= _AHEAD_NS or step_ns <= min(_ALIKE * usual_ns, _LONGEST_STEP_NS)
