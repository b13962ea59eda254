"""Stage: what each setting of the governor's levers costs in accuracy and in work.

The engine is replayed on stored scores of validation frames, once for each point. Mean AP, adapters
per computed frame and the share of frames computed are what the governor's ladder rests on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, cast

import numpy as np

from polymorph_ros.bundle.manifest import Manifest, OperatingPoint
from polymorph_ros.data.average_precision import mean_average_precision
from polymorph_ros.data.frame import Frame
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.meter import open_meter
from polymorph_ros.files import write_json
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.progress import progress_bar
from polymorph_ros.runtime.engine import Engine
from polymorph_ros.runtime.settings import EngineSettings
from polymorph_ros.training.artifacts import Artifact
from polymorph_ros.training.cost import Rates, StageCost
from polymorph_ros.training.frames import LabelledFrames, count_frames, load_frames
from polymorph_ros.training.loop import set_up_torch
from polymorph_ros.training.score_replay import StoredModel, row_image, store_scores
from polymorph_ros.training.stages.bundle import BundleParts, assemble
from polymorph_ros.training.stages.contexts import load_contexts
from polymorph_ros.training.stages.reuse import load_reuse, thumbnails_of
from polymorph_ros.training.stages.thresholds import load_tuned

_LIMITS = (4, 3, 2, 1)
_SHIFTS = (0.5, 1.0, 2.0, 3.0, 4.0)
_SCALES = (2.0, 4.0, 8.0)
_EVERY = (2, 3, 4, 6, 8, 12, 16)
_FILE = "operating_points.json"


@dataclass(frozen=True)
class OperatingPointsStage:
    """The table of operating points, measured on a draft of the bundle."""

    parts: BundleParts
    thresholds: Artifact
    reuse: Artifact
    threads: int
    name: ClassVar[str] = "operating_points"

    def cost(self, rates: Rates) -> StageCost:
        """The whole model on every validation frame; the replays are not counted."""
        frames = count_frames(self.parts.features.validation.frames)
        return StageCost(frames=frames, seconds=frames * rates.engine_frame_s)

    def write(self, folder: Path) -> None:
        """Store the draft's scores, replay every point, write the table."""
        set_up_torch(self.threads, self.parts.features.device)
        tuned = replace(load_tuned(self.thresholds), reuse=load_reuse(self.reuse))
        draft = assemble(self.parts, tuned, {}, folder / "draft")
        names = tuple(label.name for label in draft.manifest.labels)
        vocabulary = load_contexts(self.parts.features.contexts).vocabulary
        frames = load_frames(self.parts.features.validation.frames.folder)
        frames = frames.in_vocabulary(vocabulary, names)
        model = PolymorphModel.from_bundle(draft, self.parts.features.device)
        stored = StoredModel(
            model,
            store_scores(model, frames),
            thumbnails_of(frames, self.parts.features.preprocessing),
        )
        points = learn_points(stored, draft.manifest, frames)
        write_json(folder / _FILE, [point.model_dump() for point in points])
        shutil.rmtree(draft.path)


def load_points(points: Artifact) -> tuple[OperatingPoint, ...]:
    """What the stage measured."""
    document = json.loads((points.folder / _FILE).read_text(encoding="utf-8"))
    return tuple(OperatingPoint.model_validate(entry) for entry in document)


def candidates(contexts: int, *, reuse: bool) -> Iterator[OperatingPoint]:
    """The points to measure: none, each lever alone, and the rate with few adapters."""
    limits = [limit for limit in _LIMITS if limit < contexts]
    yield OperatingPoint()
    yield from (OperatingPoint(max_adapters=limit) for limit in limits)
    yield from (OperatingPoint(cover_shift=shift) for shift in _SHIFTS)
    if reuse:
        yield from (OperatingPoint(reuse_scale=scale) for scale in _SCALES)
        yield from (OperatingPoint(reuse_scale=scale, cover_shift=1.0) for scale in _SCALES)
    for every in _EVERY:
        yield OperatingPoint(every=every)
        yield OperatingPoint(every=every, cover_shift=1.0)
        yield OperatingPoint(every=every, cover_shift=3.0)
        if limits:
            yield OperatingPoint(every=every, max_adapters=1)


def learn_points(
    stored: StoredModel, manifest: Manifest, frames: LabelledFrames
) -> tuple[OperatingPoint, ...]:
    """Each candidate with its mean AP and its work on the frames, the unlimited one first."""
    every = list(candidates(len(manifest.contexts), reuse=manifest.reuse is not None))
    found = []
    with progress_bar() as bars:
        task = bars.add_task("operating points", total=len(every), note="")
        for point in every:
            found.append(_measured(point, stored, manifest, frames))
            bars.update(task, advance=1)
    return tuple(found)


def _measured(
    point: OperatingPoint, stored: StoredModel, manifest: Manifest, frames: LabelledFrames
) -> OperatingPoint:
    """A point as the engine does on it."""
    longest_s = manifest.reuse.max_age_s if manifest.reuse else 0.0
    engine = Engine(
        cast(PolymorphModel, stored),
        manifest,
        EnergyLedger(open_meter("none")),
        EngineSettings(reuse_s=longest_s, detect_unknown_scenes=False),
        points=(point,),
    )
    scores = np.empty(frames.truth.shape, np.float32)
    ran, computed = 0, 0
    for part in frames.slices():
        engine.reset()
        for row in range(part.start, part.stop):
            stamp_ns = round(float(frames.stamps_s[row]) * 1e9)
            result = engine.step(Frame(row_image(row), stamp_ns))
            scores[row] = result.score_array
            ran += len(result.cover.adapters)
            computed += not result.reused
    accuracy = mean_average_precision(scores, frames.truth)
    return point.model_copy(
        update={
            "adapters": round(ran / computed, 4),
            "computed": round(computed / len(frames), 4),
            "mean_ap": None if np.isnan(accuracy) else round(accuracy, 5),
        }
    )
