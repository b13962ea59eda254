"""The program that looks at a ROS graph for ``polymorph doctor``: its command and its report.

``polymorph doctor`` starts it as a process of its own, because only ``ros/`` may import rclpy. It
writes one ``GraphReport`` as JSON to standard output and exits with 0. After a fault it exits
with 1, and the last line on standard error says what was wrong. It ends by itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

PROGRAM = "polymorph_ros.ros.doctor"
SEARCH_S = 2.5
"""Seconds in which it looks for nodes and topics; diagnostics come once a second."""
PATIENCE_S = 10.0
"""Seconds that it waits longer for a node that should report, and for an image that should come."""
CANDIDATE_S = 1.5
"""Seconds for which it listens to other image topics where one that was asked for is silent."""


class Stamps(str, Enum):
    """What the stamps of a topic's images do while images arrive."""

    NONE = "too few images"
    ADVANCE = "advance"
    ZERO = "are zero"
    STAND_STILL = "stand still"
    GO_BACK = "go back"


def doctor_command(topics: Sequence[str], seconds: float) -> list[str]:
    """The command line that looks at the graph.

    Args:
        topics: image topics to listen to; none for those of a running node, else all.
        seconds: how long to listen.
    """
    return [sys.executable, "-m", PROGRAM, "--seconds", str(seconds), *topics]


@dataclass(frozen=True)
class Candidate:
    """Another image topic, and how many images a second it carried."""

    name: str
    type: str
    rate_hz: float


@dataclass(frozen=True)
class TopicReport:
    """One image topic.

    Attributes:
        name: fully resolved.
        type: its message type; empty without a publisher.
        publishers: how many there are.
        qos: what each publisher offers.
        obstacle: why a node at its defaults can receive nothing; empty where it can.
        received, lost: messages; the middleware reports the lost ones.
        seconds: from the first image, else from the start, to the end of listening.
        picture: size and encoding of the first image.
        largest_bytes: of a message.
        longest_gap_s: between two arrivals.
        stamps: what they do.
        age_s: median of this machine's clock minus the stamp, at arrival; NaN without images.
        candidates: other image topics, nearest name first, where this one is silent.
    """

    name: str
    type: str
    publishers: int
    qos: tuple[str, ...]
    obstacle: str
    received: int = 0
    lost: int = 0
    seconds: float = 0.0
    picture: str = ""
    largest_bytes: int = 0
    longest_gap_s: float = 0.0
    stamps: str = Stamps.NONE.value
    age_s: float | None = None
    candidates: tuple[Candidate, ...] = ()

    @property
    def rate_hz(self) -> float:
        """Images a second that arrived."""
        return self.received / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class NodeReport:
    """A running node ``polymorph``, as its diagnostics show it.

    Attributes:
        name: fully qualified.
        use_sim_time: as its parameter says; None where it did not answer.
        topics: its image topics.
        complaints: what its diagnostics say above the level OK.
    """

    name: str
    use_sim_time: bool | None
    topics: tuple[str, ...]
    complaints: tuple[str, ...]


@dataclass(frozen=True)
class GraphReport:
    """What the program found.

    Attributes:
        rmw: the middleware that runs.
        clock_publishers: publishers of ``/clock``.
        image_topics: how many image topics have a publisher.
        nodes: nodes ``polymorph`` that run.
        topics: those that were listened to.
    """

    rmw: str
    clock_publishers: int
    image_topics: int
    nodes: tuple[NodeReport, ...]
    topics: tuple[TopicReport, ...]

    def to_json(self) -> str:
        """The report as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> GraphReport:
        """The report out of the program's standard output."""
        entries = json.loads(text)
        return cls(
            rmw=entries["rmw"],
            clock_publishers=entries["clock_publishers"],
            image_topics=entries["image_topics"],
            nodes=tuple(NodeReport(**_tuples(node)) for node in entries["nodes"]),
            topics=tuple(_topic(topic) for topic in entries["topics"]),
        )


def _topic(entries: dict[str, Any]) -> TopicReport:
    candidates = tuple(Candidate(**entry) for entry in entries["candidates"])
    return TopicReport(**{**_tuples(entries), "candidates": candidates})


def _tuples(entries: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in entries.items()
    }
