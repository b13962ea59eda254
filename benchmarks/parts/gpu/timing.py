"""Times of computations: interleaved in random order, warmed up, by CUDA events on a GPU."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median

import torch

from parts.gpu.bench import Bench
from parts.metrics import Results, milliseconds, rounded

Run = Callable[[], object]
_WARM_UPS = 3
_BLOCK_S, _MOST_IN_BLOCK = 0.02, 20


@dataclass
class _Times:
    """Seconds of one computation.

    Attributes:
        alone: from an idle device to its end, launches included.
        host: until the host may go on.
        streamed: of each of several in a row, without waiting between them.
    """

    alone: list[float] = field(default_factory=list)
    host: list[float] = field(default_factory=list)
    streamed: list[float] = field(default_factory=list)


def time_interleaved(
    runs: Mapping[str, Run], bench: Bench, seconds: float, rounds: int = 3
) -> dict[str, Results]:
    """Time computations in turn.

    Args:
        runs: by name; each may be called any number of times.
        bench: its device is what the computations run on.
        seconds: how long, at least ``rounds`` rounds.
        rounds: of all computations.

    Returns:
        for each ``ms`` (alone, percentiles), ``streamed_ms`` and ``host_ms`` (medians).
    """
    repeats = {name: _warm(run, bench) for name, run in runs.items()}
    times = {name: _Times() for name in runs}
    order, chance = list(runs), random.Random(0)
    end = time.monotonic() + seconds
    done = 0
    while done < rounds or time.monotonic() < end:
        chance.shuffle(order)
        for name in order:
            _take(times[name], runs[name], repeats[name], bench)
        done += 1
    return {
        name: {
            "ms": milliseconds(taken.alone),
            "streamed_ms": rounded(1e3 * median(taken.streamed)),
            "host_ms": rounded(1e3 * median(taken.host)),
        }
        for name, taken in times.items()
    }


def _warm(run: Run, bench: Bench) -> int:
    """Warm up; returns how many calls make a block."""
    for _ in range(1 if bench.quick else _WARM_UPS):
        run()
    bench.wait()
    alone, _ = seconds_of(run, bench)
    return min(_MOST_IN_BLOCK, max(1, int(_BLOCK_S / max(alone, 1e-6))))


def _take(times: _Times, run: Run, repeats: int, bench: Bench) -> None:
    for _ in range(repeats):
        alone, host = seconds_of(run, bench)
        times.alone.append(alone)
        times.host.append(host)
    block, _ = seconds_of(lambda: [run() for _ in range(repeats)], bench)
    times.streamed.append(block / repeats)


def seconds_of(run: Run, bench: Bench) -> tuple[float, float]:
    """Seconds of one call from an idle device on: until its end, and until the host may go on."""
    if not bench.on_gpu:
        start = time.perf_counter()
        run()
        taken = time.perf_counter() - start
        return taken, taken
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start = time.perf_counter()
    first.record()
    run()
    last.record()
    host = time.perf_counter() - start
    last.synchronize()
    return first.elapsed_time(last) * 1e-3, host
