"""For planners: the active labels of one camera by events, and whether an event was missed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from polymorph_ros.interfaces.enumerations import ChangeKind
from polymorph_ros.interfaces.stamps import to_ns
from polymorph_ros.msg import LabelArray, LabelEvent


class EventLog:
    """Which labels of one camera are active, from ``~/events``.

    The node numbers its events over all cameras, and counts anew under another name
    (``incarnation``) each time it is configured. So feed it *every* event: a gap means that one is
    missing, and what is active is not known until the next message of ``~/labels``.

    >>> log = EventLog(camera="front")
    >>> log.complete, dict(log.active)
    (False, {})

    Args:
        camera: which camera; of others only the numbers count.

    Attributes:
        complete: whether every event so far was received, or made up for.
        missed: how many events are known to be missing.
    """

    def __init__(self, camera: str) -> None:
        self._camera = camera
        self._incarnation = ""
        self._sequence = 0
        self._active: dict[str, int] = {}
        self.complete = False
        self.missed = 0

    @property
    def active(self) -> Mapping[str, int]:
        """The stamp of the first frame of each active label, nanoseconds; read-only."""
        return MappingProxyType(self._active)

    def take(self, event: LabelEvent) -> None:
        """Take a message of ``~/events``, in the order of receipt."""
        if event.incarnation != self._incarnation:
            self._incarnation, self._sequence, self.complete = event.incarnation, 0, True
            self._active.clear()
        gap = event.sequence - self._sequence - 1
        self._sequence = event.sequence
        if gap != 0:
            self.missed += max(gap, 0)
            self.complete = False
            self._active.clear()
        if event.camera != self._camera:
            return
        if event.kind == ChangeKind.APPEARED:
            self._active[event.name] = to_ns(event.first_stamp)
        else:
            self._active.pop(event.name, None)

    def take_labels(self, message: LabelArray) -> None:
        """Take a message of ``~/labels``: after a gap it says what is active."""
        if message.camera == self._camera and not self.complete:
            stamp_ns = to_ns(message.header.stamp)
            self._active = {label.name: stamp_ns for label in message.labels if label.active}
            self.complete = True
