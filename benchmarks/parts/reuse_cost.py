"""What reusing results saves, and what it costs in accuracy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from parts.clips import Clip
from polymorph_ros.bundle.manifest import Manifest
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.meter import open_meter
from polymorph_ros.evaluation.metrics import mean_average_precision
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.runtime.engine import Engine
from polymorph_ros.runtime.result import FrameResult
from polymorph_ros.runtime.settings import EngineSettings


@dataclass(frozen=True)
class ReuseCost:
    """The same frames with every picture computed and with results reused.

    Attributes:
        data: what was run.
        frames: how many.
        reused: share of them that was not computed.
        mean_ap_computed, mean_ap_reused: of the scores; NaN without positives.
        agreement: mean Jaccard index of the active labels of a frame, of both ways.
        seconds_computed, seconds_reused: of computation, per frame.
    """

    data: str
    frames: int
    reused: float
    mean_ap_computed: float
    mean_ap_reused: float
    agreement: float
    seconds_computed: float
    seconds_reused: float


def measure_reuse(
    data: str, model: PolymorphModel, manifest: Manifest, clips: Iterable[Clip], longest_s: float
) -> ReuseCost:
    """Run clips twice, side by side.

    Args:
        data: its name for the row.
        longest_s: seconds over which a result is reused at most.
    """
    engines = [
        Engine(model, manifest, EnergyLedger(open_meter("none")), EngineSettings(reuse_s=limit))
        for limit in (0.0, longest_s)
    ]
    truth, pairs = [], []
    for clip in clips:
        truth.append(clip.truth)
        pairs += list(_side_by_side(engines, clip))
    known = np.concatenate(truth)
    computed, reused = zip(*pairs, strict=True)
    return ReuseCost(
        data,
        frames=len(pairs),
        reused=float(np.mean([result.reused for result in reused])),
        mean_ap_computed=_mean_ap(computed, known),
        mean_ap_reused=_mean_ap(reused, known),
        agreement=float(np.mean([_agreement(*pair) for pair in pairs])),
        seconds_computed=_seconds(computed),
        seconds_reused=_seconds(reused),
    )


def _side_by_side(engines: list[Engine], clip: Clip) -> Iterator[tuple[FrameResult, FrameResult]]:
    for engine in engines:
        engine.reset()
    for frame in clip.frames:
        yield engines[0].step(frame), engines[1].step(frame)


def _mean_ap(results: tuple[FrameResult, ...], truth: np.ndarray) -> float:
    return mean_average_precision(np.stack([result.score_array for result in results]), truth)


def _agreement(one: FrameResult, other: FrameResult) -> float:
    first, second = set(one.active_indices), set(other.active_indices)
    either = len(first | second)
    return len(first & second) / either if either else 1.0


def _seconds(results: tuple[FrameResult, ...]) -> float:
    return float(np.mean([sum(result.stage_seconds.values()) for result in results]))
