"""The listener: when each frame's answer and echo arrived, and what the node says of itself."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from types import TracebackType

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import HistoryPolicy, QoSProfile
from std_msgs.msg import Header

from polymorph_ros.interfaces.stamps import to_ns
from polymorph_ros.msg import EnergyReport, LabelArray

ECHO_TOPIC = "/benchmark/echo"
NODE_NAME = "/polymorph"

_KEEP = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1000)
_COUNTS = ("received", "answered", "dropped", "rejected", "failed", "lost_before_this_node")


class Listener:
    """Hears the node and the echo on a thread of its own; use as a context manager.

    rclpy must have been initialised. Everything is kept by the image's stamp in nanoseconds.

    Attributes:
        answered_ns: when the frame's LabelArray was received (NO_DATA is none).
        echoed_ns: when the echo's header was received.
        engine_s: the engine's seconds for the frame, all stages together.
        adapters: adapters run for the frame.
        counts: the node's account of its camera, as its diagnostics told it last.
    """

    def __init__(self) -> None:
        self.answered_ns: dict[int, int] = {}
        self.echoed_ns: dict[int, int] = {}
        self.engine_s: dict[int, float] = {}
        self.adapters: dict[int, int] = {}
        self.counts: dict[str, int] = {}
        self._news = threading.Condition()
        self._node = rclpy.create_node("benchmark_listener")
        for kind, topic, handle in (
            (LabelArray, f"{NODE_NAME}/labels", self._on_labels),
            (EnergyReport, f"{NODE_NAME}/energy", self._on_energy),
            (Header, ECHO_TOPIC, self._on_echo),
            (DiagnosticArray, "/diagnostics", self._on_diagnostics),
        ):
            self._node.create_subscription(kind, topic, handle, _KEEP)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="listener", daemon=True)

    def __enter__(self) -> Listener:
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
        self._node.destroy_node()

    def wait_for_answer(self, stamp_ns: int, timeout_s: float) -> bool:
        """Wait for the answer to a frame; whether it came in time."""
        with self._news:
            return self._news.wait_for(lambda: stamp_ns in self.answered_ns, timeout_s)

    def forget(self) -> None:
        """Begin anew, for instance with another node."""
        for kept in (self.answered_ns, self.echoed_ns, self.engine_s, self.adapters, self.counts):
            kept.clear()

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()

    def _on_labels(self, message: LabelArray) -> None:
        now_ns = time.time_ns()
        if message.state != LabelArray.STATE_NO_DATA:
            with self._news:
                self.answered_ns[to_ns(message.header.stamp)] = now_ns
                self._news.notify()

    def _on_echo(self, message: Header) -> None:
        now_ns = time.time_ns()
        self.echoed_ns[to_ns(message.stamp)] = now_ns

    def _on_energy(self, message: EnergyReport) -> None:
        stamp_ns = to_ns(message.header.stamp)
        self.engine_s[stamp_ns] = sum(message.stage_seconds)
        self.adapters[stamp_ns] = message.adapters_run

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(f"{NODE_NAME}: camera "):
                values = {item.key: item.value for item in status.values}
                self.counts = {name: int(values[name]) for name in _COUNTS}
