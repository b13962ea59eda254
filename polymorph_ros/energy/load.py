"""Known loads for a calibration: cores and GPU kept busy with the node's own kind of work."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from polymorph_ros.energy.fit import LoadPoint
from polymorph_ros.energy.meter import Meter
from polymorph_ros.energy.processes import busy_cpu_seconds
from polymorph_ros.errors import PolymorphError

# Products of matrices, as a vision transformer computes: they draw more than an empty loop.
_CPU = "import numpy as np; a = np.ones((256, 256), np.float32)\nwhile True: a @ a"
_GPU = (
    "import torch; a = torch.ones(2048, 2048, device='cuda')\n"
    "while True:\n for _ in range(20): a @ a\n torch.cuda.synchronize()"
)
SETTLE_S = 2.0
"""Seconds from the start of a load until power is steady enough to be read."""


@contextmanager
def busy(cores: int, gpu: bool = False) -> Iterator[None]:
    """Keep so many cores busy, and the GPU, one process each; ended on leaving.

    Raises:
        PolymorphError: one of them ended by itself (no GPU for PyTorch).
    """
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    programs = [_CPU] * cores + [_GPU] * gpu
    running = [
        subprocess.Popen([sys.executable, "-c", program], env=one_thread, stderr=subprocess.DEVNULL)
        for program in programs
    ]
    try:
        yield
        if any(process.poll() is not None for process in running):
            raise PolymorphError("a load that lasts", "one that ended by itself", where="load")
    finally:
        for process in running:
            process.kill()
            process.wait()


def loads(cores: int, gpu: bool) -> list[tuple[int, bool]]:
    """The loads to measure: none, half and all of the cores; then the GPU."""
    levels = sorted({0, max(1, cores // 2), cores})
    return [*((level, False) for level in levels), *([(0, True)] if gpu else [])]


def measure(
    meter: Meter,
    wanted: Sequence[tuple[int, bool]],
    seconds: float,
    wait: Callable[[float], None] = time.sleep,
) -> list[LoadPoint]:
    """Mean power at each load, twice each, from a sensor.

    Args:
        meter: a real sensor.
        wanted: busy cores and GPU of each load.
        seconds: for all of them together, beside the time that each takes to settle.
        wait: called with seconds.

    Raises:
        PolymorphError: the sensor was lost.
    """
    points = []
    each_s = seconds / (2 * len(wanted))
    for cores, gpu in [*wanted, *reversed(wanted)]:
        with busy(cores, gpu):
            wait(SETTLE_S)
            start = time.monotonic(), meter.read(), busy_cpu_seconds()
            wait(each_s)
            elapsed_s, joules, cpu_s = (
                end - begun
                for end, begun in zip(
                    (time.monotonic(), meter.read(), busy_cpu_seconds()), start, strict=True
                )
            )
        if not joules >= 0:
            raise PolymorphError("a sensor that lasts", meter.note, where=meter.source.value)
        points.append(LoadPoint(cpu_s / elapsed_s, joules / elapsed_s, float(gpu)))
    return points
