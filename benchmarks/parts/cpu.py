"""CPU share of the node besides inference: the node's CPU time less that of the engine alone."""

from __future__ import annotations

import json
import subprocess
import sys

from parts.metrics import Results, rounded
from parts.stage import Stage
from polymorph_ros.errors import PolymorphError


def measure_cpu(
    stage: Stage, node_cpu: Results, rate: float, seconds: float, block_s: float
) -> Results:
    """Run the engine alone and subtract.

    Args:
        node_cpu: ``node_cpu`` of the latency measurement at the same rate.
        rate, seconds, block_s: as there.
    """
    blocks = max(1, round(seconds / block_s))
    arguments = ["--rate", str(rate), "--blocks", str(blocks), "--block-s", str(block_s)]
    if stage.bundle is not None:
        arguments += ["--bundle", str(stage.bundle)]
    engine = _engine_alone(arguments)
    besides_ms = node_cpu["ms_per_frame"] - engine["ms_per_frame"]
    return {
        "node": node_cpu,
        "engine_alone": engine,
        "besides_inference_ms_per_frame": rounded(besides_ms),
        "besides_inference_share_of_one_core": rounded(besides_ms * 1e-3 * rate),
    }


def _engine_alone(arguments: list[str]) -> Results:
    done = subprocess.run(
        [sys.executable, "-m", "parts.engine_alone", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise PolymorphError(
            "metrics of the engine alone", done.stderr.strip()[-500:], where="engine_alone"
        )
    metrics: Results = json.loads(done.stdout.splitlines()[-1])
    return metrics
