"""For planners: from label messages to "is `person` there, and may I rely on it?"."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from polymorph_ros.arrays import NS_PER_S
from polymorph_ros.interfaces.enumerations import ResultState
from polymorph_ros.interfaces.stamps import AHEAD_NS, to_ns
from polymorph_ros.msg import LabelArray, LabelInfo


class Presence(Enum):
    """The three answers; a planner that needs only two must choose what UNKNOWN means for it."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Sighting:
    """Whether a label is there, how sure that is, and why it is unknown where it is.

    Attributes:
        score: probability in [0, 1]; 0 where the message lists active labels only.
    """

    presence: Presence
    score: float
    reason: str


class LabelView:
    """The freshest labels of one camera, as a planner may use them.

    Feed it every message of ``~/labels`` and ``~/label_info`` and ask it. It answers UNKNOWN
    rather than repeat an old answer: after NO_DATA, in an unknown scene, when the last image
    is older than `max_age_s` by its stamp, or its message by the steady clock, when it is stamped
    in the future, or for a label that the bundle does not know.

    In an unknown scene labels are still published, but training says nothing of how often they
    are right there, active or not: hence UNKNOWN, for all. A reused result (REUSED) counts by
    its own image's stamp: that image was compared, and shows what the computed one did.

    >>> view = LabelView(camera="front", max_age_s=0.5)
    >>> view.look("person", now_ns=0).presence
    <Presence.UNKNOWN: 'unknown'>

    Args:
        camera: which camera; messages of others are passed over.
        max_age_s: oldest image that still counts, seconds since its stamp and since the receipt
            of its message.
        trust_unknown_scenes: whether answers in unknown scenes count as elsewhere.
        steady_ns: a clock that never jumps, nanoseconds; it times the receipt.
    """

    def __init__(
        self,
        camera: str,
        max_age_s: float,
        *,
        trust_unknown_scenes: bool = False,
        steady_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._camera = camera
        self._steady_ns = steady_ns
        self._received_ns = 0
        self._max_age_ns = round(max_age_s * 1e9)
        self._trust_unknown_scenes = trust_unknown_scenes
        self._latest: LabelArray | None = None
        self._vocabulary: frozenset[str] = frozenset()

    def take(self, message: LabelArray) -> None:
        """Take a message of ``~/labels``."""
        if message.camera == self._camera:
            self._latest = message
            self._received_ns = self._steady_ns()

    def take_info(self, message: LabelInfo) -> None:
        """Take a message of ``~/label_info`` (subscribe transient local)."""
        self._vocabulary = frozenset(message.labels)

    def look(self, label: str, now_ns: int) -> Sighting:
        """Whether a label is there.

        Args:
            label: its name.
            now_ns: now by the clock that stamps the images, nanoseconds.
        """
        doubt = self._doubt(label, now_ns)
        if doubt or self._latest is None:
            return Sighting(Presence.UNKNOWN, 0.0, doubt)
        for candidate in self._latest.labels:
            if candidate.name == label:
                presence = Presence.PRESENT if candidate.active else Presence.ABSENT
                return Sighting(presence, float(candidate.score), "")
        return Sighting(Presence.ABSENT, 0.0, "")  # in the vocabulary, but not active

    def _doubt(self, label: str, now_ns: int) -> str:
        message = self._latest
        if message is None:
            return f"no labels of camera {self._camera} received yet"
        if message.state == ResultState.NO_DATA:
            return message.reason
        if message.state == ResultState.UNKNOWN_SCENE and not self._trust_unknown_scenes:
            return message.reason or "unlike anything seen in training"
        age_ns = now_ns - to_ns(message.header.stamp)
        if age_ns < -AHEAD_NS:
            return f"the last image is stamped {-age_ns / NS_PER_S:.2f} s in the future"
        if age_ns > self._max_age_ns:
            return f"the last image is {age_ns / NS_PER_S:.2f} s old"
        waited_ns = self._steady_ns() - self._received_ns
        if waited_ns > self._max_age_ns:
            return f"the last message came {waited_ns / NS_PER_S:.2f} s ago"
        if label not in self._vocabulary and all(it.name != label for it in message.labels):
            return f"{label} is not in the vocabulary (or no label_info received yet)"
        return ""
