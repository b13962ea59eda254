"""Latency of the whole node without its engine, beside the bare transport; and its CPU time.

Measured twice, since processes disturb each other where there are few cores:

- alternating: the camera publishes some seconds to the node, then some to the echo, and so on;
- together: node and echo hear the same images, and metrics are paired by stamp.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean, median

from parts.camera_process import CameraProcess
from parts.listener import Listener
from parts.machine import cpu_seconds
from parts.metrics import Results, jitter, milliseconds, rounded
from parts.surroundings import NODE_TOPIC, Stage, run_node
from parts.waiting import wait_for
from polymorph_ros.ros.demo.child import Child

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
    log, heard = stage.logs / "camera.log", stage.listener
    blocks = max(1, round(seconds / block_s))
    with CameraProcess([NODE_TOPIC, _BARE_TOPIC], rate, log) as camera, run_node(stage) as node:
        _warm(camera, node, NODE_TOPIC, lambda: len(heard.answered_ns))
        with _run_echo(stage, _BARE_TOPIC) as echo:
            _warm(camera, echo, _BARE_TOPIC, lambda: len(heard.echoed_ns))
            labelled, bare = [], []
            for _ in range(blocks):
                labelled.append(_block(camera, node, NODE_TOPIC, block_s))
                bare.append(_block(camera, node, _BARE_TOPIC, block_s))
        before = dict(heard.echoed_ns)
        heard.echoed_ns.clear()
        with _run_echo(stage, NODE_TOPIC) as echo:
            _warm(camera, echo, NODE_TOPIC, lambda: len(heard.echoed_ns))
            together = [_block(camera, node, NODE_TOPIC, block_s) for _ in range(blocks)]
        time.sleep(_COUNTS_S)
    return {
        "image": "640x480 rgb8, best effort, synthetic scenes",
        "rate_hz": rate,
        "block_s": block_s,
        "alternating": _alternating(heard, labelled, bare, before),
        "together": _together(heard, together),
        "node_counts_whole_run": dict(heard.counts),
        "node_cpu": _cpu(heard, labelled, bare),
    }


@contextmanager
def _run_echo(stage: Stage, topic: str) -> Iterator[Child]:
    echo = Child("parts.echo", [topic], stage.logs / "echo.log")
    try:
        yield echo
        echo.check()
    finally:
        echo.interrupt()


def _warm(camera: CameraProcess, child: Child, topic: str, answers: Callable[[], int]) -> None:
    """Publish until answers come back, and some seconds more; nothing of it is reported."""
    camera.start(topic)
    wait_for(lambda: answers() > 0, "a first answer", child)
    time.sleep(_WARM_S)
    camera.stop()
    time.sleep(_DRAIN_S)


def _block(camera: CameraProcess, node: Child, topic: str, seconds: float) -> Block:
    pid = node.process.pid
    cpu_before, start_s = cpu_seconds(pid), time.monotonic()
    stamps = camera.block(topic, seconds)
    time.sleep(_DRAIN_S)
    return Block(stamps, cpu_seconds(pid) - cpu_before, time.monotonic() - start_s)


def _alternating(
    heard: Listener, labelled: Sequence[Block], bare: Sequence[Block], echoed_ns: dict[int, int]
) -> Results:
    answered = _answered(heard, labelled)
    transport = [
        (echoed_ns[stamp] - stamp) * 1e-9
        for block in bare
        for stamp in block.stamps
        if stamp in echoed_ns
    ]
    typical = median(transport)
    return {
        "frames": _frames(heard, labelled),
        "bare_frames": {"published": _published(bare), "echoed": len(transport)},
        **_own(heard, answered),
        "transport_ms": milliseconds(transport),
        "overhead_ms": milliseconds(_rest(heard, stamp) - typical for stamp in answered),
    }


def _together(heard: Listener, blocks: Sequence[Block]) -> Results:
    answered = _answered(heard, blocks)
    paired = [stamp for stamp in answered if stamp in heard.echoed_ns]
    transport = {stamp: (heard.echoed_ns[stamp] - stamp) * 1e-9 for stamp in paired}
    return {
        "frames": _frames(heard, blocks) | {"paired": len(paired)},
        **_own(heard, answered),
        "transport_ms": milliseconds(transport.values()),
        "overhead_ms": milliseconds(_rest(heard, stamp) - transport[stamp] for stamp in paired),
    }


def _own(heard: Listener, answered: Sequence[int]) -> Results:
    """What does not need the echo."""
    return {
        "total_ms": milliseconds((heard.answered_ns[stamp] - stamp) * 1e-9 for stamp in answered),
        "engine_ms": milliseconds(heard.engine_s[stamp] for stamp in answered),
        "total_minus_engine_ms": milliseconds(_rest(heard, stamp) for stamp in answered),
    }


def _rest(heard: Listener, stamp: int) -> float:
    """Seconds from stamp to answer that were not the engine's."""
    return (heard.answered_ns[stamp] - stamp) * 1e-9 - heard.engine_s[stamp]


def _frames(heard: Listener, blocks: Sequence[Block]) -> Results:
    published = _published(blocks)
    answered = _answered(heard, blocks)
    per_block = [
        [heard.answered_ns[stamp] for stamp in block.stamps if stamp in heard.answered_ns]
        for block in blocks
    ]
    return {
        "published": published,
        "answered": len(answered),
        "not_answered": published - len(answered),
        "adapters_per_frame": rounded(fmean(heard.adapters[stamp] for stamp in answered)),
        "published_interval_ms": jitter(block.stamps for block in blocks),
        "answered_interval_ms": jitter(per_block),
    }


def _cpu(heard: Listener, labelled: Sequence[Block], bare: Sequence[Block]) -> Results:
    """CPU time of the node process; medians over blocks."""
    per_frame = [block.node_cpu_s / len(_answered(heard, [block])) for block in labelled]
    idle = [block.node_cpu_s / block.wall_s for block in bare]
    return {
        "ms_per_frame": rounded(1e3 * median(per_frame)),
        "idle_share_of_one_core": rounded(median(idle)),
        "blocks": len(labelled),
    }


def _answered(heard: Listener, blocks: Sequence[Block]) -> list[int]:
    return [
        stamp
        for block in blocks
        for stamp in block.stamps
        if stamp in heard.answered_ns and stamp in heard.engine_s
    ]


def _published(blocks: Sequence[Block]) -> int:
    return sum(len(block.stamps) for block in blocks)
