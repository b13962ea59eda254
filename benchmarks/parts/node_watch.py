"""Follow a node from outside for hours: counts and gaps, without keeping what it says."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import HistoryPolicy, QoSProfile

from polymorph_ros.interfaces import topics
from polymorph_ros.interfaces.enumerations import ResultState
from polymorph_ros.interfaces.stamps import to_ns
from polymorph_ros.msg import LabelArray
from polymorph_ros.ros.harness.listener import CameraStatus

_LOSSLESS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1000)


class NodeWatch:
    """Subscribes to a node's labels and diagnostics, on a thread of its own.

    rclpy must have been initialised. Use as a context manager.

    Attributes:
        ros: the node that subscribes; publishers and clients may be made on it.
        states: how many LabelArray messages came, by state.
        statuses: the last diagnostics of each camera, and how many reports came.
        reports: how many diagnostics came.
        longest_gap_s: between two answers, since `restart`.
    """

    def __init__(self) -> None:
        self.ros: Any = rclpy.create_node("benchmark_watch")
        self._received = threading.Condition()
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.ros)
        self._thread = threading.Thread(target=self._spin, name="watch", daemon=True)
        labels = topics.LABELS.under()
        self.ros.create_subscription(LabelArray, labels, self._on_labels, _LOSSLESS)
        self.ros.create_subscription(
            DiagnosticArray, topics.DIAGNOSTICS, self._on_diagnostics, _LOSSLESS
        )
        self.restart()

    def restart(self) -> None:
        """Begin anew, for another node."""
        self.states: Counter[str] = Counter()
        self.statuses: dict[str, CameraStatus] = {}
        self.reports = 0
        self.longest_gap_s = 0.0
        self._answered: set[tuple[str, int]] = set()
        self._expected: set[tuple[str, int]] = set()
        self._last_answer_s = 0.0

    def pause(self) -> None:
        """No answers are expected until the next one: what lies between is no gap."""
        self._last_answer_s = 0.0

    def __enter__(self) -> NodeWatch:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._executor.shutdown()
        self._thread.join()
        self.ros.destroy_node()

    def expect(self, camera: str, stamp_ns: int) -> None:
        """An image with this stamp is about to be sent."""
        self._expected.add((camera, stamp_ns))

    def wait_for(self, images: set[tuple[str, int]], timeout_s: float) -> bool:
        """Wait until one image of each camera was answered; whether that came in time.

        Args:
            images: camera and stamp of expected ones.
            timeout_s: how long.
        """
        cameras = {camera for camera, _ in images}

        def answered() -> bool:
            return {camera for camera, _ in images & self._answered} == cameras

        with self._received:
            return self._received.wait_for(answered, timeout_s)

    def settle(self) -> None:
        """Forget what was expected."""
        self._expected.clear()
        self._answered.clear()

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()

    def _on_labels(self, message: LabelArray) -> None:
        self.states[ResultState(message.state).name] += 1
        if message.state == ResultState.NO_DATA:
            return
        now_s = time.monotonic()
        if self._last_answer_s:
            self.longest_gap_s = max(self.longest_gap_s, now_s - self._last_answer_s)
        self._last_answer_s = now_s
        key = (message.camera, to_ns(message.header.stamp))
        if key in self._expected:
            with self._received:
                self._answered.add(key)
                self._received.notify_all()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.reports += 1
        for status in message.status:
            _, found, camera = status.name.partition(": camera ")
            if found:
                self.statuses[camera] = CameraStatus.of(status)
