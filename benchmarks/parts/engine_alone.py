"""The engine without ROS on the camera's pictures at the camera's rate: what it costs by itself.

Prints one JSON object. It keeps the camera's pace, and like the node it computes on another thread
than the one that warmed the model: both decide how long PyTorch's threads spin after a computation,
which is CPU time too.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean, median
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from parts.metrics import Results, rounded
from parts.pictures import pictures
from polymorph_ros.bundle.reader import default_bundle
from polymorph_ros.data.frame import Frame
from polymorph_ros.runtime.engine import Engine
from polymorph_ros.runtime.loading import load_bundle
from polymorph_ros.runtime.result import FrameResult


def run(
    rate: Annotated[float, typer.Option(help="Frames per second.")],
    blocks: Annotated[int, typer.Option(help="How often; the metrics are medians.")],
    block_s: Annotated[float, typer.Option(help="Seconds of each block.")],
    bundle: Annotated[Path | None, typer.Option(help="A bundle instead of the default.")] = None,
) -> None:
    """Measure the CPU time of a frame in the engine."""
    loaded = load_bundle(bundle or default_bundle())
    ledger = loaded.open_ledger()
    engine = loaded.engine(ledger)
    with ThreadPoolExecutor(max_workers=1) as worker:
        metrics = worker.submit(_measure, engine, rate, blocks, block_s).result()
    ledger.close()
    print(json.dumps(metrics))


def _measure(engine: Engine, rate: float, blocks: int, block_s: float) -> Results:
    images = pictures(640, 480)
    cpu_ms, results = [], []
    for block in range(blocks + 1):
        count = max(1, round(block_s * rate))
        start = time.process_time()
        answers = [_step(engine, images[i % len(images)], 1.0 / rate) for i in range(count)]
        if block > 0:  # the first one warms
            cpu_ms.append((time.process_time() - start) / count * 1e3)
            results += answers
    seconds = [sum(result.stage_seconds.values()) for result in results]
    return {
        "ms_per_frame": rounded(median(cpu_ms)),
        "engine_p50_ms": rounded(1e3 * median(seconds)),
        "adapters_per_frame": rounded(fmean(len(r.cover.adapters) for r in results)),
        "frames": len(results),
    }


def _step(engine: Engine, image: NDArray[np.uint8], period_s: float) -> FrameResult:
    due_s = time.monotonic() + period_s
    result = engine.step(Frame(image, time.time_ns()))
    time.sleep(max(0.0, due_s - time.monotonic()))
    return result


if __name__ == "__main__":
    typer.run(run)
