"""Look at a ROS graph: the nodes `polymorph` in it, and what its image topics carry."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.srv import GetParameters
from rclpy.exceptions import InvalidTopicNameException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.validate_topic_name import validate_topic_name

from polymorph_ros.errors import PolymorphError
from polymorph_ros.interfaces import topics as names
from polymorph_ros.interfaces.doctor import (
    CANDIDATE_S,
    PATIENCE_S,
    SEARCH_S,
    Candidate,
    GraphReport,
    NodeReport,
    TopicReport,
)
from polymorph_ros.ros.doctor.listening import IMAGE_TYPES, TopicListener

_MOST_TOPICS = 8
_SERVICE_S = 1.0
_POLL_S = 0.05
_STATUS = re.compile(r"(?P<node>/\S+): (?P<part>camera .+|model|energy)$")


def look(topics: Sequence[str], seconds: float) -> GraphReport:
    """Find nodes and topics, listen, and report. rclpy must have been initialised.

    Args:
        topics: image topics to listen to; none for those of running nodes, else all.
        seconds: how long to listen.

    Raises:
        PolymorphError: a topic's name is not a valid one.
    """
    graph = _Graph()
    try:
        wanted = [graph.resolved(topic) for topic in topics]
        graph.spin(SEARCH_S)
        graph.spin(PATIENCE_S, lambda: graph.is_known(wanted))
        nodes = graph.nodes()
        wanted = wanted or list(dict.fromkeys(topic for node in nodes for topic in node.topics))
        images = graph.image_topics()
        reports = graph.listen(wanted or images[:_MOST_TOPICS], seconds, PATIENCE_S)
        silent = [report for report in reports if not report.received]
        others = [topic for topic in images if topic not in wanted][:_MOST_TOPICS]
        found = graph.listen(others, CANDIDATE_S) if silent and others else []
        return GraphReport(
            rmw=rclpy.get_rmw_implementation_identifier(),
            clock_publishers=graph.node.count_publishers("/clock"),
            image_topics=len(images),
            nodes=tuple(nodes),
            topics=tuple(_with_candidates(report, found) for report in reports),
        )
    finally:
        graph.close()


class _Graph:
    """This program's own node, and what it knows of the others."""

    def __init__(self) -> None:
        self.node: Node = rclpy.create_node("polymorph_doctor")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._statuses: dict[str, DiagnosticStatus] = {}
        self.node.create_subscription(DiagnosticArray, names.DIAGNOSTICS, self._on_diagnostics, 50)

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()

    def resolved(self, topic: str) -> str:
        try:
            validate_topic_name(topic)
        except InvalidTopicNameException:
            raise PolymorphError("a valid topic name", repr(topic), where="--topic") from None
        return str(self.node.resolve_topic_name(topic))

    def spin(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0 and not until():
            self._executor.spin_once(timeout_sec=min(left_s, _POLL_S))

    def image_topics(self) -> list[str]:
        """Those of an image type that have a publisher."""
        return [
            name
            for name, types in sorted(self.node.get_topic_names_and_types())
            if set(types) & set(IMAGE_TYPES) and self.node.count_publishers(name)
        ]

    def listen(
        self, topics: Iterable[str], seconds: float, patience_s: float = 0.0
    ) -> list[TopicReport]:
        """Listen to topics, all at once, and longer while an image should have come."""
        listeners = [TopicListener(self.node, topic) for topic in topics]
        self.spin(seconds)
        # A busy machine is slow to match a publisher that is there.
        self.spin(patience_s, lambda: not any(listener.waits for listener in listeners))
        reports = [listener.report() for listener in listeners]
        for listener in listeners:
            listener.close()
        return reports

    def is_known(self, topics: Sequence[str]) -> bool:
        """Whether the topics, or else some, have publishers and each node sent its diagnostics.

        Discovery can take seconds on a busy machine.
        """
        images = self.image_topics()
        return bool(images) and {*topics} <= {*images} and self._running() <= self._names()

    def _running(self) -> set[str]:
        """The nodes that publish labels."""
        return {
            f"{publisher.node_namespace.rstrip('/')}/{publisher.node_name}"
            for name, types in self.node.get_topic_names_and_types()
            if names.LABELS.type in types
            for publisher in self.node.get_publishers_info_by_topic(name)
        }

    def _names(self) -> set[str]:
        return {_STATUS.match(name)["node"] for name in self._statuses}  # type: ignore[index]

    def nodes(self) -> list[NodeReport]:
        """The nodes whose diagnostics came."""
        return [self._node(name) for name in sorted(self._names())]

    def _node(self, name: str) -> NodeReport:
        mine = [status for key, status in self._statuses.items() if key.startswith(f"{name}: ")]
        topics = [pair.value for status in mine for pair in status.values if pair.key == "topic"]
        complaints = [
            f"{status.name.partition(': ')[2]}: {status.message}"
            for status in mine
            if status.level != DiagnosticStatus.OK
        ]
        return NodeReport(name, self._use_sim_time(name), tuple(topics), tuple(complaints))

    def _use_sim_time(self, name: str) -> bool | None:
        client: Any = self.node.create_client(GetParameters, f"{name}/get_parameters")
        try:
            self.spin(_SERVICE_S, client.service_is_ready)
            if not client.service_is_ready():
                return None
            future = client.call_async(GetParameters.Request(names=["use_sim_time"]))
            self.spin(_SERVICE_S, future.done)
            answer = future.result() if future.done() else None
            return bool(answer.values[0].bool_value) if answer and answer.values else None
        finally:
            self.node.destroy_client(client)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if _STATUS.match(status.name):
                self._statuses[status.name] = status


def _with_candidates(report: TopicReport, others: Sequence[TopicReport]) -> TopicReport:
    """The report with other topics, the nearest name first, where its own is silent."""
    if report.received:
        return report

    def nearness(other: TopicReport) -> tuple[bool, float]:
        alike = difflib.SequenceMatcher(None, report.name, other.name).ratio()
        return other.received > 0, alike

    nearest = sorted(others, key=nearness, reverse=True)
    return replace(
        report,
        candidates=tuple(
            Candidate(other.name, other.type, round(other.rate_hz, 1)) for other in nearest
        ),
    )
