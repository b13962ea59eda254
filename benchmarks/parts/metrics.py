"""From samples to metrics: percentiles, and the file that keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

Results = dict[str, Any]


def milliseconds(seconds: Iterable[float]) -> Results:
    """Percentiles of durations in seconds, as milliseconds; only the count if there are none."""
    values = np.fromiter(seconds, dtype=np.float64) * 1e3
    if not values.size:
        return {"count": 0}
    p50, p95, p99 = np.percentile(values, (50, 95, 99))
    metrics = {"p50": p50, "p95": p95, "p99": p99, "max": values.max(), "mean": values.mean()}
    return {"count": int(values.size)} | {name: rounded(value) for name, value in metrics.items()}


def jitter(blocks: Iterable[Sequence[int]]) -> Results:
    """Milliseconds between successive events, and their standard deviation.

    Args:
        blocks: times of events in nanoseconds; the time between two blocks does not count.
    """
    intervals = [np.diff(np.sort(np.asarray(block, dtype=np.int64))) for block in blocks]
    joined = np.concatenate([np.zeros(0), *intervals]) * 1e-9
    deviation = {"deviation": rounded(float(joined.std() * 1e3))} if joined.size else {}
    return milliseconds(joined) | deviation


def rounded(value: float) -> float:
    """A figure without the digits that mean nothing."""
    return round(float(value), 3)
