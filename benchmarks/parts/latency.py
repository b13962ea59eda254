"""Latency of the whole node without its engine, beside the bare transport; and its CPU time.

Measured twice, since processes disturb each other where there are few cores:

- alternating: the camera publishes some seconds to the node, then some to the echo, and so on;
- together: node and echo receive the same images, and metrics are paired by stamp.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from statistics import fmean, median

from parts.camera_process import CameraProcess
from parts.listener import BenchmarkListener
from parts.machine import cpu_seconds
from parts.metrics import Results, jitter, milliseconds, rounded
from parts.stage import NODE_TOPIC, Stage, run_node
from polymorph_ros.ros.harness.process import ChildProcess, running
from polymorph_ros.ros.harness.waiting import wait_until

_BARE_TOPIC = "/benchmark/bare_image"
_WARM_S = 2.0
_DRAIN_S = 0.5  # for the answers still on their way; they are not timed by it
_COUNTS_S = 1.5  # diagnostics come once a second


@dataclass(frozen=True)
class Block:
    """Some seconds of the camera publishing on one topic.

    Attributes:
        stamps: of its images, nanoseconds.
        node_cpu_s: CPU seconds of the node meanwhile.
        wall_s: its length.
    """

    stamps: Sequence[int]
    node_cpu_s: float
    wall_s: float


def measure_latency(stage: Stage, rate: float, seconds: float, block_s: float) -> Results:
    """Both ways of measuring, each with `seconds` of images to the node, and the CPU time.

    Args:
        rate: images per second, 640x480 rgb8.
        block_s: length of a block.
    """
    log, listener = stage.logs / "camera.log", stage.listener
    blocks = max(1, round(seconds / block_s))
    with CameraProcess([NODE_TOPIC, _BARE_TOPIC], rate, log) as camera, run_node(stage) as node:
        _warm(camera, node, NODE_TOPIC, lambda: len(listener.output.answers))
        with _run_echo(stage, _BARE_TOPIC) as echo:
            _warm(camera, echo, _BARE_TOPIC, lambda: len(listener.echoed_ns))
            labelled, bare = [], []
            for _ in range(blocks):
                labelled.append(_block(camera, node, NODE_TOPIC, block_s))
                bare.append(_block(camera, node, _BARE_TOPIC, block_s))
        before = dict(listener.echoed_ns)
        listener.echoed_ns.clear()
        with _run_echo(stage, NODE_TOPIC) as echo:
            _warm(camera, echo, NODE_TOPIC, lambda: len(listener.echoed_ns))
            together = [_block(camera, node, NODE_TOPIC, block_s) for _ in range(blocks)]
        time.sleep(_COUNTS_S)
    return {
        "image": "640x480 rgb8, best effort, synthetic scenes",
        "rate_hz": rate,
        "block_s": block_s,
        "alternating": _alternating(listener, labelled, bare, before),
        "together": _together(listener, together),
        "node_counts_whole_run": listener.output.camera.counts,
        "node_cpu": _cpu(listener, labelled, bare),
    }


def _run_echo(stage: Stage, topic: str) -> AbstractContextManager[ChildProcess]:
    return running(ChildProcess("parts.echo", [topic], stage.logs / "echo.log"))


def _warm(
    camera: CameraProcess, child: ChildProcess, topic: str, answers: Callable[[], int]
) -> None:
    """Publish until answers come back, and some seconds more; nothing of it is reported."""
    camera.start(topic)
    wait_until(lambda: answers() > 0, "a first answer", child.check)
    time.sleep(_WARM_S)
    camera.stop()
    time.sleep(_DRAIN_S)


def _block(camera: CameraProcess, node: ChildProcess, topic: str, seconds: float) -> Block:
    pid = node.process.pid
    cpu_before, start_s = cpu_seconds(pid), time.monotonic()
    stamps = camera.block(topic, seconds)
    time.sleep(_DRAIN_S)
    return Block(stamps, cpu_seconds(pid) - cpu_before, time.monotonic() - start_s)


def _alternating(
    listener: BenchmarkListener,
    labelled: Sequence[Block],
    bare: Sequence[Block],
    echoed_ns: dict[int, int],
) -> Results:
    answered = _answered(listener, labelled)
    transport = [
        (echoed_ns[stamp] - stamp) * 1e-9
        for block in bare
        for stamp in block.stamps
        if stamp in echoed_ns
    ]
    typical = median(transport)
    return {
        "frames": _frames(listener, labelled),
        "bare_frames": {"published": _published(bare), "echoed": len(transport)},
        **_own(listener, answered),
        "transport_ms": milliseconds(transport),
        "overhead_ms": milliseconds(listener.rest_s(stamp) - typical for stamp in answered),
    }


def _together(listener: BenchmarkListener, blocks: Sequence[Block]) -> Results:
    answered = _answered(listener, blocks)
    paired = [stamp for stamp in answered if stamp in listener.echoed_ns]
    transport = {stamp: (listener.echoed_ns[stamp] - stamp) * 1e-9 for stamp in paired}
    return {
        "frames": _frames(listener, blocks) | {"paired": len(paired)},
        **_own(listener, answered),
        "transport_ms": milliseconds(transport.values()),
        "overhead_ms": milliseconds(listener.rest_s(stamp) - transport[stamp] for stamp in paired),
    }


def _own(listener: BenchmarkListener, answered: Sequence[int]) -> Results:
    """What does not need the echo."""
    return {
        "total_ms": milliseconds(listener.total_s(stamp) for stamp in answered),
        "engine_ms": milliseconds(listener.engine_s(stamp) for stamp in answered),
        "total_minus_engine_ms": milliseconds(listener.rest_s(stamp) for stamp in answered),
    }


def _frames(listener: BenchmarkListener, blocks: Sequence[Block]) -> Results:
    published, answers = _published(blocks), listener.output.answers
    answered, energy = _answered(listener, blocks), listener.output.energy
    per_block = [
        [answers[stamp].received_ns for stamp in block.stamps if stamp in answers]
        for block in blocks
    ]
    return {
        "published": published,
        "answered": len(answered),
        "not_answered": published - len(answered),
        "adapters_per_frame": rounded(fmean(energy[stamp].adapters_run for stamp in answered)),
        "published_interval_ms": jitter(block.stamps for block in blocks),
        "answered_interval_ms": jitter(per_block),
    }


def _cpu(listener: BenchmarkListener, labelled: Sequence[Block], bare: Sequence[Block]) -> Results:
    """CPU time of the node process; medians over blocks."""
    per_frame = [block.node_cpu_s / len(_answered(listener, [block])) for block in labelled]
    idle = [block.node_cpu_s / block.wall_s for block in bare]
    return {
        "ms_per_frame": rounded(1e3 * median(per_frame)),
        "idle_share_of_one_core": rounded(median(idle)),
        "blocks": len(labelled),
    }


def _answered(listener: BenchmarkListener, blocks: Sequence[Block]) -> list[int]:
    return [stamp for block in blocks for stamp in block.stamps if listener.answered(stamp)]


def _published(blocks: Sequence[Block]) -> int:
    return sum(len(block.stamps) for block in blocks)
