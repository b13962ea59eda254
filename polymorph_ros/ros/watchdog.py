"""The watchdog: publishes NO_DATA where no answer comes, by a clock that always runs."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from polymorph_ros.ros.camera import Camera
from polymorph_ros.ros.publishers import ResultPublishers

_CHECKS_PER_TIMEOUT = 5


class Watchdog:
    """Publishes NO_DATA for each camera that has had no answer for the timeout, again and again.

    The timer runs by the steady clock: it also runs while ``/clock`` stands still.
    """

    def __init__(
        self,
        node: Node,
        cameras: Mapping[str, Camera],
        publishers: ResultPublishers,
        timeout_s: float,
    ) -> None:
        self._node = node
        self._cameras = cameras
        self._publishers = publishers
        self._timeout_s = timeout_s
        publishers.restart_silence()
        self._timer = node.create_timer(
            timeout_s / _CHECKS_PER_TIMEOUT,
            self._check,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def stop(self) -> None:
        """End the timer."""
        self._node.destroy_timer(self._timer)

    def _check(self) -> None:
        for camera in self._cameras.values():
            self._publishers.publish_no_data_if_silent(
                camera.name, camera.header, self._reason(camera), self._timeout_s
            )

    def _reason(self, camera: Camera) -> str:
        counters, now = camera.counters, time.monotonic()
        if counters.last_arrival_s is None:
            return f"no image received on {camera.topic}"
        silent_s = now - counters.last_arrival_s
        if silent_s >= self._timeout_s:
            return f"no image on {camera.topic} for {silent_s:.1f} s"
        if camera.is_asleep:
            return "images were ignored because nobody subscribed to results (lazy)"
        if counters.last_fault_s is not None and counters.last_fault_s >= (
            counters.last_answer_s or 0.0
        ):
            return f"images are received but cannot be used: {counters.last_fault}"
        return "images are received but take longer to label than no_data_timeout"
