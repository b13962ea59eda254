"""Does the node keep answering: gaps while a bundle loads, and how late NO_DATA comes."""

from __future__ import annotations

import time
from contextlib import closing
from itertools import pairwise

import numpy as np
import rclpy

from parts.camera_process import CameraProcess
from parts.metrics import Results, milliseconds, rounded
from parts.stage import NODE_TOPIC, Stage, run_node
from polymorph_ros.bundle.reader import default_bundle
from polymorph_ros.errors import PolymorphError
from polymorph_ros.interfaces import topics
from polymorph_ros.ros.harness.waiting import wait_until
from polymorph_ros.srv import LoadBundle

_WARM_S = 2.0
_BETWEEN_S = 1.0  # answers before and after a load, which belong to it
_TIMEOUT_S = 0.5
_SILENCE_S = 2.2  # four NO_DATA messages
_DEADLINE_S = 60.0


def measure_continuity(stage: Stage, rate: float, repetitions: int) -> Results:
    """Gaps between answers with and without loads, and NO_DATA after the camera stops.

    Args:
        rate: images per second, 640x480 rgb8.
        repetitions: how many loads, and how many silences.
    """
    bundle = stage.bundle or default_bundle()
    settings = {"bundle_root": str(bundle.parent), "no_data_timeout": _TIMEOUT_S}
    with (
        CameraProcess([NODE_TOPIC], rate, stage.logs / "camera.log") as camera,
        run_node(stage, settings) as node,
        closing(_Asker()) as asker,
    ):
        camera.start(NODE_TOPIC)
        wait_until(lambda: bool(stage.listener.output.answers), "a first answer", node.check)
        time.sleep(_WARM_S)
        loads = [_load(stage, asker, bundle.name) for _ in range(repetitions)]
        plain = _Answers(stage, time.time_ns(), _end_of(repetitions * 2 * _BETWEEN_S))
        camera.stop()
        silences = [_silence(stage, camera) for _ in range(repetitions)]
    longest = [max(load.between_images_s) for load in loads]
    return {
        "rate_hz": rate,
        "without_load": {
            "between_images_ms": milliseconds(plain.between_images_s),
            "between_receipts_ms": milliseconds(plain.between_receipts_s),
        },
        "longest_of_each_load": {
            "between_images_ms": [rounded(1e3 * gap) for gap in longest],
            "between_receipts_ms": [rounded(1e3 * max(load.between_receipts_s)) for load in loads],
        },
        "loads_within_two_frames": sum(gap < 2.5 / rate for gap in longest),
        "no_data_late_ms": milliseconds(late for silence in silences for late in silence),
        "repetitions": repetitions,
    }


def _load(stage: Stage, asker: _Asker, name: str) -> _Answers:
    """Load the bundle again; the answers from a second before to one after."""
    since_ns = time.time_ns()
    time.sleep(_BETWEEN_S)
    asker.ask(name)
    return _Answers(stage, since_ns, _end_of(_BETWEEN_S))


class _Asker:
    """A client of `load_bundle` with a node of its own, made before anything is timed."""

    def __init__(self) -> None:
        self._node = rclpy.create_node("continuity", start_parameter_services=False)
        self._client = self._node.create_client(LoadBundle, f"/{topics.NODE_NAME}/load_bundle")

    def ask(self, name: str) -> None:
        """Load a bundle of the node's root.

        Raises:
            PolymorphError: it did not load, or no answer came.
        """
        self._client.wait_for_service(_DEADLINE_S)
        future = self._client.call_async(LoadBundle.Request(path=name))
        rclpy.spin_until_future_complete(self._node, future, timeout_sec=_DEADLINE_S)
        if not future.done():
            raise PolymorphError("an answer of load_bundle", f"none within {_DEADLINE_S:g} s")
        if not future.result().success:
            raise PolymorphError("a bundle that loads", future.result().message)

    def close(self) -> None:
        """Take the node away."""
        self._node.destroy_node()


def _end_of(seconds: float) -> int:
    time.sleep(seconds)
    return time.time_ns()


class _Answers:
    """The answers that arrived in an interval.

    Attributes:
        between_images_s: seconds between the stamps of their images; what was not answered shows.
        between_receipts_s: seconds between their arrivals here, the transport's included.
    """

    def __init__(self, stage: Stage, since_ns: int, until_ns: int) -> None:
        answers = list(stage.listener.output.answers.values())
        inside = [a for a in answers if since_ns <= a.received_ns <= until_ns]
        self.between_images_s = _between([answer.stamp_ns for answer in inside])
        self.between_receipts_s = _between([answer.received_ns for answer in inside])


def _between(times_ns: list[int]) -> list[float]:
    return [float(gap) for gap in np.diff(np.sort(times_ns)) * 1e-9]


def _silence(stage: Stage, camera: CameraProcess) -> list[float]:
    """Let the camera pause; by how many seconds each NO_DATA came after it was due."""
    output = stage.listener.output
    camera.block(NODE_TOPIC, _BETWEEN_S)
    last_ns = max(answer.received_ns for answer in list(output.answers.values()))
    end_ns = _end_of(_SILENCE_S)
    told = [when for when in output.no_data_ns if last_ns < when <= end_ns]
    return [(b - a) * 1e-9 - _TIMEOUT_S for a, b in pairwise([last_ns, *told])]
