"""The listener of a benchmark: the node's answers, and the echo's beside them."""

from __future__ import annotations

import time

from std_msgs.msg import Header

from polymorph_ros.interfaces.stamps import to_ns
from polymorph_ros.ros.harness.listener import Listener

ECHO_TOPIC = "/benchmark/echo"


class BenchmarkListener(Listener):
    """Receives from the node and from the echo.

    Attributes:
        echoed_ns: when the echo's header arrived, by the image's stamp, nanoseconds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.echoed_ns: dict[int, int] = {}
        self.subscribe(Header, ECHO_TOPIC, self._on_echo)

    def clear(self) -> None:
        super().clear()
        self.echoed_ns.clear()

    def answered(self, stamp_ns: int) -> bool:
        """Whether answer and energy report to a frame arrived."""
        return stamp_ns in self.output.answers and stamp_ns in self.output.energy

    def engine_s(self, stamp_ns: int) -> float:
        """The engine's seconds for an answered frame, all stages together."""
        return float(sum(self.output.energy[stamp_ns].stage_seconds))

    def total_s(self, stamp_ns: int) -> float:
        """Seconds from stamp to answer of an answered frame."""
        return self.output.answers[stamp_ns].latency_s

    def rest_s(self, stamp_ns: int) -> float:
        """Seconds from stamp to answer that were not the engine's."""
        return self.total_s(stamp_ns) - self.engine_s(stamp_ns)

    def _on_echo(self, message: Header) -> None:
        now_ns = time.time_ns()
        self.echoed_ns[to_ns(message.stamp)] = now_ns
