"""A camera's health: one judgement, for NO_DATA and for diagnostics, free of ROS and of clocks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

# Fast DDS's default shared-memory segment holds 512 KB, and best-effort images above it get lost.
_LARGE_IMAGE_BYTES = 512 * 1024
_LARGE_IMAGE_ADVICE = (
    "large best-effort images do not fit the default shared-memory segment of Fast DDS: start "
    "the camera with FASTDDS_DEFAULT_PROFILES_FILE=<share>/polymorph_ros/config/"
    "fastdds_large_images.xml"
)


class Level(IntEnum):
    """How bad it is, as ``diagnostic_msgs/DiagnosticStatus`` numbers it."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Situation:
    """What is known of a camera at one moment; all times are seconds of one steady clock.

    The counts are of the last ``timeout_s`` seconds, and of the last second at least.

    Attributes:
        topic: the image topic.
        timeout_s: the parameter ``no_data_timeout``.
        now_s: this moment.
        opened_s: when the gate was opened; None while it is closed.
        arrival_s: of the last image; None before the first one since the gate was opened.
        answer_s: of the last result; None before the first one since the gate was opened.
        waiting_since_s: since when there has been an image that waits or is in work; None if none.
        received: images that arrived.
        unusable: images that were rejected, or that the engine failed on.
        lost: images lost before this node.
        rejected_scores: scores that were not finite.
        fault: the last rejection or failure, for people.
        largest_bytes: size of the largest image so far; 0 if none arrived.
        obstacle: why no publisher matches; empty if one does, or if nobody looked.
        stamps: what is wrong with the images' stamps; empty if nothing.
        asleep: whether images are ignored because nobody listens (parameter `lazy`).
    """

    topic: str
    timeout_s: float
    now_s: float
    opened_s: float | None = None
    arrival_s: float | None = None
    answer_s: float | None = None
    waiting_since_s: float | None = None
    received: int = 0
    unusable: int = 0
    lost: int = 0
    rejected_scores: int = 0
    fault: str = ""
    largest_bytes: int = 0
    obstacle: str = ""
    stamps: str = ""
    asleep: bool = False

    @property
    def silent(self) -> bool:
        """Whether the timeout has passed without a result."""
        if self.opened_s is None:
            return False
        since_s = self.opened_s if self.answer_s is None else self.answer_s
        return self.now_s >= due_s(since_s, self.waiting_since_s, self.timeout_s)


@dataclass(frozen=True)
class Health:
    """A level with its reason, for people.

    Attributes:
        no_data: the reason as NO_DATA says it, where nothing else was published.
    """

    level: Level
    reason: str
    no_data: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "no_data", self.no_data or self.reason)


def due_s(since_s: float, waiting_since_s: float | None, timeout_s: float) -> float:
    """When NO_DATA is due: a timeout after the last message, but not before an image had its time.

    Args:
        since_s: when something was published about the camera last.
        waiting_since_s: since when there has been an image that waits or is in work, if any.
        timeout_s: the parameter ``no_data_timeout``.
    """
    return (since_s if waiting_since_s is None else max(since_s, waiting_since_s)) + timeout_s


def judge(it: Situation) -> Health:
    """The gravest that is wrong with a camera; what causes silence goes before the silence."""
    if it.opened_s is None:
        return Health(Level.OK, "inactive: images are ignored")
    if it.asleep:
        return _asleep(it, it.opened_s)
    if it.unusable:
        no_data = f"images are received but cannot be used: {it.fault}"
        return Health(Level.ERROR, it.fault, no_data)
    if it.silent and it.waiting_since_s is not None:
        reason = "images are received but take longer to label than no_data_timeout"
        return Health(Level.ERROR, reason)
    if it.lost:
        return Health(Level.WARN, _loss(it))
    if it.silent or it.arrival_s is None:
        return _silence(it, it.opened_s)
    if it.rejected_scores:
        return Health(Level.WARN, _not_finite(it.rejected_scores))
    if it.stamps:
        return Health(Level.WARN, it.stamps)
    return Health(Level.OK, "receiving and answering images")


def _asleep(it: Situation, opened_s: float) -> Health:
    no_data = "images were ignored because nobody subscribed to results (lazy)"
    if it.arrival_s is None or it.now_s - it.arrival_s >= it.timeout_s:
        no_data = _silence(it, opened_s).reason
    lazy = "lazy: images are ignored because nobody subscribes to results"
    return Health(Level.OK, lazy, no_data)


def _silence(it: Situation, opened_s: float) -> Health:
    if it.arrival_s is None:
        reason = f"no image received on {it.topic} for {it.now_s - opened_s:.1f} s"
    else:
        reason = f"no image on {it.topic} for {it.now_s - it.arrival_s:.1f} s"
    if it.obstacle:
        return Health(Level.ERROR, f"{reason}: {it.obstacle}")
    return Health(Level.WARN, reason)


def _loss(it: Situation) -> str:
    reason = f"{it.lost} of {it.lost + it.received} images were lost before this node"
    large = it.largest_bytes > _LARGE_IMAGE_BYTES or it.largest_bytes == 0  # none came through
    return f"{reason}; {_LARGE_IMAGE_ADVICE}" if large else reason


def _not_finite(scores: int) -> str:
    return (
        f"{scores} score(s) of the model were not finite and were left out; if this persists, "
        "load the bundle again or set engine.backend to float32"
    )
