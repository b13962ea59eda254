"""Run labelled frames through the engine, as the node would, and sum up what came out."""

from __future__ import annotations

import numpy as np

from polymorph_ros.evaluation.metrics import mean_average_precision
from polymorph_ros.evaluation.metrics.f1 import f1
from polymorph_ros.runtime.engine import Engine
from polymorph_ros.training.frames import LabelledFrames
from polymorph_ros.training.rehearsal import rehearse


def measure(engine: Engine, frames: LabelledFrames) -> dict[str, float]:
    """Metrics of a bundle on held-out sequences; each sequence starts anew.

    Returns:
        ``mean_ap`` (of the engine's beliefs), ``micro_f1`` (of its active labels) and
        ``adapters_per_frame``.
    """
    scores, active, adapters = [], [], 0
    for result in rehearse(engine, frames):
        scores.append(result.score_array)
        active.append(result.active_mask)
        adapters += len(result.cover.adapters)
    truth = np.asarray(frames.truth)
    return {
        "mean_ap": mean_average_precision(np.stack(scores), truth),
        "micro_f1": f1(np.stack(active), truth).micro,
        "adapters_per_frame": adapters / len(frames),
    }
