"""How many CPU threads a frame is worth.

A second thread halves a large model's time at the same energy. For a small one it saves little,
while both threads wait busily for each other: three times the CPU seconds per frame were measured.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import torch

_REPEATS = 7
_PRICE = 1.25  # more threads may cost so many times the CPU seconds of one


def use_threads(wanted: int, run: Callable[[], object]) -> int:
    """Set the threads of a computation on the CPU, for the whole process.

    Args:
        wanted: how many; 0 for as many as pay: the most, up to the cores that this process may
            use, for which ``threads x seconds`` is at most 1.25 times the seconds of one thread.
        run: a typical computation, timed where the number is to be found.

    Returns:
        how many are used now.
    """
    if wanted:
        torch.set_num_threads(wanted)
        return wanted
    alone = _seconds(1, run)
    best = 1
    for threads in _counts():
        if threads * _seconds(threads, run) > _PRICE * alone:
            break
        best = threads
    torch.set_num_threads(best)
    return best


def _counts() -> list[int]:
    cores = len(os.sched_getaffinity(0))
    return [threads for threads in (2, 4, 8, 16) if threads <= cores]


def _seconds(threads: int, run: Callable[[], object]) -> float:
    torch.set_num_threads(threads)
    run()
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
