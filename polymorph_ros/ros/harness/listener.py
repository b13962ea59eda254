"""What a node publishes, received in another process: answers, adapters, energy, diagnostics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import HistoryPolicy, QoSProfile

from polymorph_ros.interfaces import topics
from polymorph_ros.interfaces.enumerations import ResultState
from polymorph_ros.interfaces.stamps import to_ns
from polymorph_ros.msg import ContextState, EnergyReport, LabelArray, LabelInfo
from polymorph_ros.ros import qos

_LOSSLESS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1000)


@dataclass(frozen=True)
class Answer:
    """One LabelArray about a frame.

    Attributes:
        stamp_ns: the image's stamp, nanoseconds.
        received_ns: when it arrived here, by the clock that stamps, nanoseconds.
        state: as of ``LabelArray``.
        scores: by label, in vocabulary order.
        active: labels that count as present.
    """

    stamp_ns: int
    received_ns: int
    state: int
    scores: dict[str, float]
    active: tuple[str, ...]

    @property
    def latency_s(self) -> float:
        """Seconds from the image's stamp to the answer's arrival here."""
        return (self.received_ns - self.stamp_ns) * 1e-9


@dataclass(frozen=True)
class CameraStatus:
    """What the node's diagnostics say of its camera: level, message and counts of images."""

    level: bytes = DiagnosticStatus.STALE
    message: str = ""
    received: int = 0
    answered: int = 0
    dropped: int = 0
    rejected: int = 0
    failed: int = 0
    lost: int = 0

    @classmethod
    def of(cls, status: DiagnosticStatus) -> CameraStatus:
        """The camera's status out of a diagnostics message."""
        values = _values(status)
        names = ("received", "answered", "dropped", "rejected", "failed")
        counts = {name: int(values.get(name, 0)) for name in names}
        lost = int(values.get("lost_before_this_node", 0))
        return cls(status.level, status.message, **counts, lost=lost)

    @property
    def counts(self) -> dict[str, int]:
        """The counts by name."""
        names = ("received", "answered", "dropped", "rejected", "failed", "lost")
        return {name: getattr(self, name) for name in names}


@dataclass
class NodeOutput:
    """Everything received so far; frames by their stamp in nanoseconds.

    Attributes:
        answers: LabelArray messages other than NO_DATA.
        adapters: names of the adapters that ran.
        energy: EnergyReport messages.
        camera: the last diagnostics of the camera.
        info: the last LabelInfo.
        no_data_ns: when NO_DATA messages arrived, by the clock that stamps, nanoseconds.
        model: what diagnostics say of the model.
        model_fault: why no bundle runs; empty if one does.
        bundle: folder of the bundle that runs; empty before one does.
    """

    answers: dict[int, Answer] = field(default_factory=dict)
    adapters: dict[int, tuple[str, ...]] = field(default_factory=dict)
    energy: dict[int, EnergyReport] = field(default_factory=dict)
    camera: CameraStatus = field(default_factory=CameraStatus)
    info: LabelInfo | None = None
    no_data_ns: list[int] = field(default_factory=list)
    model: str = ""
    model_fault: str = ""
    bundle: str = ""


class Listener:
    """Subscribes to everything that a node publishes, on a thread of its own.

    rclpy must have been initialised. Use as a context manager.

    Args:
        node_name: the node's fully qualified name.
    """

    def __init__(self, node_name: str = f"/{topics.NODE_NAME}") -> None:
        self.output = NodeOutput()
        self._name = node_name
        self._received = threading.Condition()
        self._node = rclpy.create_node("polymorph_listener")
        self.subscribe(LabelArray, topics.LABELS.under(node_name), self._on_labels)
        self.subscribe(ContextState, topics.CONTEXT.under(node_name), self._on_context)
        self.subscribe(EnergyReport, topics.ENERGY.under(node_name), self._on_energy)
        info = topics.LABEL_INFO.under(node_name)
        self.subscribe(LabelInfo, info, self._on_info, qos.LATCHED)
        self.subscribe(DiagnosticArray, topics.DIAGNOSTICS, self._on_diagnostics)
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

    def subscribe(
        self,
        message_type: type[Any],
        topic: str,
        handle: Callable[[Any], None],
        profile: QoSProfile = _LOSSLESS,
    ) -> None:
        """Receive one more topic; only before the context is entered."""
        self._node.create_subscription(message_type, topic, handle, profile)

    def clear(self) -> None:
        """Begin anew, for instance with another node."""
        self.output = NodeOutput()

    def wait_for_answer(self, stamp_ns: int, timeout_s: float) -> bool:
        """Wait for the answer to a frame; whether it came in time."""
        with self._received:
            return self._received.wait_for(lambda: stamp_ns in self.output.answers, timeout_s)

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()

    def _on_labels(self, message: LabelArray) -> None:
        now_ns = time.time_ns()
        if message.state == ResultState.NO_DATA:
            self.output.no_data_ns.append(now_ns)
            return
        stamp_ns = to_ns(message.header.stamp)
        answer = Answer(
            stamp_ns,
            now_ns,
            message.state,
            scores={label.name: label.score for label in message.labels},
            active=tuple(label.name for label in message.labels if label.active),
        )
        with self._received:
            self.output.answers[stamp_ns] = answer
            self._received.notify_all()

    def _on_context(self, message: ContextState) -> None:
        self.output.adapters[to_ns(message.header.stamp)] = tuple(message.adapters)

    def _on_energy(self, message: EnergyReport) -> None:
        self.output.energy[to_ns(message.header.stamp)] = message

    def _on_info(self, message: LabelInfo) -> None:
        self.output.info = message

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(f"{self._name}: camera "):
                self.output.camera = CameraStatus.of(status)
            elif status.name == f"{self._name}: model":
                failed = status.level == DiagnosticStatus.ERROR
                self.output.model = status.message
                self.output.model_fault = status.message if failed else ""
                self.output.bundle = _values(status).get("path", "")


def _values(status: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in status.values}
