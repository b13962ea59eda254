"""Start-up: from the start of the node's process to its first answer, with the camera running."""

from __future__ import annotations

import re
import time
from statistics import median

from parts.camera_process import CameraProcess
from parts.metrics import Results, rounded
from parts.stage import NODE_TOPIC, Stage, run_node
from polymorph_ros.errors import PolymorphError
from polymorph_ros.ros.harness.waiting import wait_until

_CONFIGURED = re.compile(r"\[INFO\] \[([\d.]+)\] \[polymorph\]: .* ready after ([\d.]+) s")


def measure_start_up(stage: Stage, rate: float, repetitions: int) -> Results:
    """Start the node again and again; medians.

    Returns:
        ``first_answer_s`` from the process's start, and its parts: ``before_configure_s``
        (interpreter, imports, ROS), ``configure_s`` (bundle checked, loaded and warm, topics) and
        ``to_first_answer_s`` (activation, discovery, a frame). Files are in the page cache.
    """
    with CameraProcess([NODE_TOPIC], rate, stage.logs / "camera.log") as camera:
        camera.start(NODE_TOPIC)
        runs = [_start_once(stage) for _ in range(repetitions)]
        camera.stop()
    return {
        "repetitions": repetitions,
        **{name: rounded(median(run[name] for run in runs)) for name in runs[0]},
        "first_answer_all_s": [rounded(run["first_answer_s"]) for run in runs],
    }


def _start_once(stage: Stage) -> dict[str, float]:
    start_s = time.time()
    with run_node(stage) as node:
        answers = stage.listener.output.answers
        wait_until(lambda: bool(answers), "a first answer", node.check)
        first_s = min(answer.received_ns for answer in list(answers.values())) * 1e-9 - start_s
        configured_at_s, configure_s = _configured(node.output)
    configured_s = configured_at_s - start_s
    return {
        "first_answer_s": first_s,
        "before_configure_s": configured_s - configure_s,
        "configure_s": configure_s,
        "to_first_answer_s": first_s - configured_s,
    }


def _configured(log: str) -> tuple[float, float]:
    """When the node was configured and how long that took, seconds, from its log."""
    found = _CONFIGURED.search(log)
    if found is None:
        raise PolymorphError("a line that says 'ready after'", "none", where="the node's log")
    return float(found.group(1)), float(found.group(2))
