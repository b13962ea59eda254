"""The watchdog: publishes NO_DATA where no answer comes, by a clock that always runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from polymorph_ros.arrays import NS_PER_S
from polymorph_ros.ros.health import due_s
from polymorph_ros.ros.monitor import CameraMonitor
from polymorph_ros.ros.publishers import ResultPublishers

_LOOK_AGAIN_S = 0.01  # while an image in work has more time than the timeout since the last answer
_SHORTEST_S = 0.001
_AWAKE_S = 0.02  # what slept takes milliseconds to wake up: that happens before it is due


class Watchdog:
    """Publishes NO_DATA for each camera that has had no answer for the timeout, again and again.

    A timer is armed for the moment at which the next one is due. It runs by the steady clock:
    also while ``/clock`` stands still. Any thread may start and stop it.

    Args:
        node: the node.
        monitors: of the cameras, by name.
        publishers: knows when something was published about each camera, and publishes NO_DATA.
        timeout_s: the parameter ``no_data_timeout``.
    """

    def __init__(
        self,
        node: Node,
        monitors: Mapping[str, CameraMonitor],
        publishers: ResultPublishers,
        timeout_s: float,
    ) -> None:
        self._node = node
        self._monitors = monitors
        self._publishers = publishers
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._running = False
        self._overdue: set[str] = set()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(timeout_s, self._check, clock=steady)
        self._timer.cancel()

    def start(self) -> None:
        """Measure silence from now on."""
        with self._lock:
            self._publishers.restart_silence()
            self._running = True
            self._arm()

    def stop(self) -> None:
        """Publish nothing any more; on return nothing is being published."""
        with self._lock:
            self._running = False
            self._timer.cancel()

    def use_timeout(self, timeout_s: float) -> None:
        """Use another timeout from now on."""
        with self._lock:
            self._timeout_s = timeout_s
            if self._running:
                self._publishers.restart_silence()
                self._arm()

    def destroy(self) -> None:
        """End the timer."""
        self.stop()
        self._node.destroy_timer(self._timer)

    def _arm(self) -> None:
        now_s = time.monotonic()
        next_s = min(self._next_look_s(name, now_s) for name in self._monitors)
        if self._overdue:
            next_s = now_s
        elif next_s - now_s > 2 * _AWAKE_S:
            next_s -= _AWAKE_S
        self._timer.timer_period_ns = int(max(next_s - now_s, _SHORTEST_S) * NS_PER_S)
        self._timer.reset()
        if self._node.executor is not None:  # it may already wait for a later moment
            self._node.executor.wake()

    def _next_look_s(self, name: str, now_s: float) -> float:
        next_s = self._due_s(name)
        waits_for_work = next_s > now_s >= self._publishers.published_s(name) + self._timeout_s
        return min(next_s, now_s + _LOOK_AGAIN_S) if waits_for_work else next_s

    def _due_s(self, name: str) -> float:
        waiting_since_s = self._monitors[name].camera.counters.waiting_since_s
        return due_s(self._publishers.published_s(name), waiting_since_s, self._timeout_s)

    def _check(self) -> None:
        with self._lock:
            if not self._running:
                return
            now_s = time.monotonic()
            overdue = {name for name in self._monitors if now_s >= self._due_s(name)}
            # Timers are executed before subscriptions: an image may just have arrived, so the
            # next round decides.
            for name in overdue & self._overdue:
                self._publish(name)
            self._overdue = overdue - self._overdue
            self._arm()

    def _publish(self, name: str) -> None:
        monitor = self._monitors[name]
        self._publishers.publish_no_data_if_silent(
            name, monitor.camera.header, monitor.health().no_data, self._timeout_s
        )
