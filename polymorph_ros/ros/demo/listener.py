"""What the node says, heard from outside: answers, adapters, energy and diagnostics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile

from polymorph_ros.errors import PolymorphError
from polymorph_ros.interfaces.stamps import to_ns
from polymorph_ros.msg import ContextState as ContextMessage
from polymorph_ros.msg import EnergyReport, LabelArray, LabelInfo

_KEEP = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1000)
_LATCHED = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
_POLL_S = 0.02


@dataclass(frozen=True)
class Answer:
    """One LabelArray about a frame.

    Attributes:
        latency_s: from the image's stamp to its receipt here.
        scores: by label, in vocabulary order.
        active: labels that count as present.
    """

    stamp_ns: int
    latency_s: float
    state: int
    scores: dict[str, float]
    active: tuple[str, ...]


@dataclass(frozen=True)
class CameraCounts:
    """The node's own account of its camera, from ``/diagnostics``."""

    level: bytes = DiagnosticStatus.STALE
    words: str = ""
    received: int = 0
    answered: int = 0
    dropped: int = 0
    rejected: int = 0
    failed: int = 0
    lost: int = 0

    @property
    def counts(self) -> tuple[int, ...]:
        """The figures without the words, which change although nothing happens."""
        return (
            self.received, self.answered, self.dropped, self.rejected, self.failed, self.lost
        )  # fmt: skip


@dataclass
class Heard:
    """Everything heard so far; frames by their stamp in nanoseconds.

    Attributes:
        silences: NO_DATA messages (they are no answers).
        model: what the node says of its model.
        model_fault: why no bundle runs; empty if one does.
        bundle: folder of the bundle that runs; empty before one does.
    """

    answers: dict[int, Answer] = field(default_factory=dict)
    adapters: dict[int, tuple[str, ...]] = field(default_factory=dict)
    energy: dict[int, EnergyReport] = field(default_factory=dict)
    camera: CameraCounts = field(default_factory=CameraCounts)
    info: LabelInfo | None = None
    silences: int = 0
    model: str = ""
    model_fault: str = ""
    bundle: str = ""


class Listener:
    """Subscribes to everything that the node publishes, on a thread of its own.

    rclpy must have been initialised. Use as a context manager.

    Args:
        node_name: the node's fully qualified name.
    """

    def __init__(self, node_name: str = "/polymorph") -> None:
        self.heard = Heard()
        self._name = node_name
        self._node = rclpy.create_node("demo_listener")
        for kind, topic, handle, qos in (
            (LabelArray, f"{node_name}/labels", self._on_labels, _KEEP),
            (ContextMessage, f"{node_name}/context", self._on_context, _KEEP),
            (EnergyReport, f"{node_name}/energy", self._on_energy, _KEEP),
            (LabelInfo, f"{node_name}/label_info", self._on_info, _LATCHED),
            (DiagnosticArray, "/diagnostics", self._on_diagnostics, _KEEP),
        ):
            self._node.create_subscription(kind, topic, handle, qos)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="demo-listener", daemon=True)

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

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()

    def _on_labels(self, message: LabelArray) -> None:
        now_ns = time.time_ns()
        if message.state == LabelArray.STATE_NO_DATA:
            self.heard.silences += 1
            return
        stamp_ns = to_ns(message.header.stamp)
        self.heard.answers[stamp_ns] = Answer(
            stamp_ns=stamp_ns,
            latency_s=(now_ns - stamp_ns) * 1e-9,
            state=message.state,
            scores={label.name: label.score for label in message.labels},
            active=tuple(label.name for label in message.labels if label.active),
        )

    def _on_context(self, message: ContextMessage) -> None:
        self.heard.adapters[to_ns(message.header.stamp)] = tuple(message.adapters)

    def _on_energy(self, message: EnergyReport) -> None:
        self.heard.energy[to_ns(message.header.stamp)] = message

    def _on_info(self, message: LabelInfo) -> None:
        self.heard.info = message

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(f"{self._name}: camera "):
                self.heard.camera = _counts(status)
            elif status.name == f"{self._name}: model":
                failed = status.level == DiagnosticStatus.ERROR
                self.heard.model = status.message
                self.heard.model_fault = status.message if failed else ""
                self.heard.bundle = _values(status).get("path", "")


def wait_until(
    condition: Callable[[], bool],
    what: str,
    deadline_s: float,
    check: Callable[[], None],
    state: Callable[[], str],
) -> None:
    """Wait for a condition.

    Args:
        what: the condition in words, for the error.
        check: called again and again; may raise to end the waiting.
        state: how things stand, for the error.

    Raises:
        PolymorphError: it did not come true in time.
    """
    end = time.monotonic() + deadline_s
    while not condition():
        check()
        if time.monotonic() > end:
            raise PolymorphError(f"{what} within {deadline_s:g} s", state())
        time.sleep(_POLL_S)


def _values(status: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in status.values}


def _counts(status: DiagnosticStatus) -> CameraCounts:
    values = _values(status)

    def count(key: str) -> int:
        return int(values.get(key, 0))

    return CameraCounts(
        level=status.level,
        words=status.message,
        received=count("received"),
        answered=count("answered"),
        dropped=count("dropped"),
        rejected=count("rejected"),
        failed=count("failed"),
        lost=count("lost_before_this_node"),
    )
