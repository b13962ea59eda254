"""Stage: what each setting of the governor's levers costs in accuracy and in work.

The engine is replayed on stored scores of validation frames, once for each point. Mean AP, adapters
per computed frame and the share of frames computed are what the governor's ladder rests on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import ClassVar

import numpy as np

from polymorph_ros.bundle.manifest import Manifest, OperatingPoint, TailTokens
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.bundle.writer import write_bundle
from polymorph_ros.files import write_json
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.progress import progress_bar
from polymorph_ros.runtime.operating_points import Table, ladder
from polymorph_ros.runtime.work import Work
from polymorph_ros.training.artifacts import Artifact
from polymorph_ros.training.cost import Rates, StageCost
from polymorph_ros.training.engine_replay import replay_engine
from polymorph_ros.training.frames import LabelledFrames, count_frames, load_frames
from polymorph_ros.training.loop import set_up_torch
from polymorph_ros.training.score_replay import (
    AS_TRAINED,
    StoredModel,
    StoredScores,
    View,
    store_views,
)
from polymorph_ros.training.stages.bundle import BundleParts, assemble
from polymorph_ros.training.stages.contexts import load_contexts
from polymorph_ros.training.stages.reuse import load_reuse, thumbnails_of
from polymorph_ros.training.stages.thresholds import load_tuned

_LIMITS = (4, 3, 2, 1)
_SHIFTS = (0.5, 1.0, 2.0, 3.0, 4.0)
_SCALES = (2.0, 3.0, 4.0, 6.0, 8.0)
_EVERY = (2, 3, 4, 6, 8, 12, 16)
_SCREENED = 500  # frames on which other views are tried first
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
        """The whole model on every validation frame, and some at other sizes; no replays."""
        frames = count_frames(self.parts.features.validation.frames)
        runs = frames + 3 * min(frames, _SCREENED)
        return StageCost(frames=frames, seconds=runs * rates.engine_frame_s)

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
        table = learn_points(model, draft.manifest, frames)
        points = [point.model_dump() for point in table.points]
        write_json(folder / _FILE, {"hz": table.hz, "points": points})
        shutil.rmtree(draft.path)


def load_points(points: Artifact) -> Table:
    """What the stage measured."""
    document = json.loads((points.folder / _FILE).read_text(encoding="utf-8"))
    found = tuple(OperatingPoint.model_validate(entry) for entry in document["points"])
    return Table(found, document["hz"])


def add_points(bundle: Bundle, frames: LabelledFrames, out: Path | None) -> Bundle:
    """Measure the points of a bundle and store them in its manifest; no other file changes.

    Args:
        bundle: what is measured.
        frames: validation frames, with the truth of the bundle's labels.
        out: folder of the new bundle, which must not exist; None to replace the old one.
    """
    table = learn_points(PolymorphModel.from_bundle(bundle, "cpu"), bundle.manifest, frames)
    measured = {"operating_points": table.points, "operating_points_hz": table.hz}

    def write_parts(folder: Path) -> None:
        for entry in bundle.manifest.files:
            (folder / entry.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.path / entry.path, folder / entry.path)

    return write_bundle(
        out or bundle.path,
        write_parts,
        lambda files: bundle.manifest.model_copy(update={**measured, "files": files}),
        replace=out is None,
    )


def candidates(contexts: int, *, reuse: bool) -> Iterator[OperatingPoint]:
    """The points to measure: none, each lever alone, and the rate with few adapters."""
    limits = [limit for limit in _LIMITS if limit < contexts]
    yield OperatingPoint()
    yield from (OperatingPoint(max_adapters=limit) for limit in limits)
    yield from (OperatingPoint(cover_shift=shift) for shift in _SHIFTS)
    if reuse:
        yield from (OperatingPoint(reuse_scale=scale) for scale in _SCALES)
        yield from (OperatingPoint(reuse_scale=scale, cover_shift=1.0) for scale in _SCALES)
        yield from (OperatingPoint(reuse_scale=scale, every=2) for scale in _SCALES[1:4])
    for every in _EVERY:
        yield OperatingPoint(every=every)
        yield OperatingPoint(every=every, cover_shift=1.0)
        yield OperatingPoint(every=every, cover_shift=3.0)
        if limits:
            yield OperatingPoint(every=every, max_adapters=1)


def learn_points(model: PolymorphModel, manifest: Manifest, frames: LabelledFrames) -> Table:
    """Each candidate with its mean AP and its work on the frames, the unlimited one first.

    Smaller pictures and pooled tails are candidates where they are better than fewer frames at the
    same cost on the first frames, and are stored where they are on all.
    """
    views = _views_that_pay(model, manifest, frames.first(_SCREENED))
    replay = _Replay(model, manifest, frames, [AS_TRAINED, *map(_view_of, views)])
    usual = replay.measured(candidates(len(manifest.contexts), reuse=manifest.reuse is not None))
    others = replay.measured(point for view in views for point in _with_view(view))
    best = _best((*usual, *others))
    return Table((*usual, *(point for point in others if point in best)), _hz(frames))


def _views_that_pay(
    model: PolymorphModel, manifest: Manifest, frames: LabelledFrames
) -> list[OperatingPoint]:
    """All frames at another size or with other tails, where fewer frames are no better."""
    which: tuple[TailTokens | None, ...] = (None,)
    if manifest.tail_tokens == "all":
        which = (None, "pooled")
    sizes = (0, *model.smaller_sizes)
    views = [_whole(model, view) for view in product(sizes, which) if view != AS_TRAINED]
    replay = _Replay(model, manifest, frames, [AS_TRAINED, *map(_view_of, views)])
    rates = replay.measured(OperatingPoint(every=every) for every in (1, *_EVERY))
    return [
        view
        for view, measured in zip(views, replay.measured(views), strict=True)
        if measured in _best((*rates, measured))
    ]


def _best(points: Sequence[OperatingPoint]) -> set[OperatingPoint]:
    """The points of the ladder, by what parts of a frame usually cost."""
    return {step.point for step in ladder(points, Work().of)}


def _view_of(point: OperatingPoint) -> View:
    return point.size, point.tail_tokens


def _whole(model: PolymorphModel, view: View) -> OperatingPoint:
    """All frames at another size, or with other tails."""
    trunk, tails = model.token_counts(*view)
    all_trunk, all_tails = model.token_counts()
    return OperatingPoint(
        size=view[0],
        tail_tokens=view[1],
        trunk_work=round(trunk / all_trunk, 4),
        adapter_work=round(tails / all_tails, 4),
    )


def _with_view(point: OperatingPoint) -> Iterator[OperatingPoint]:
    """The same with fewer adapters and fewer frames."""
    for every, shift in product((1, *_EVERY[:4]), (0.0, 1.0, 3.0)):
        yield point.model_copy(update={"every": every, "cover_shift": shift})


def _hz(frames: LabelledFrames) -> float:
    """Frames per second; 0 of pictures that each stand by themselves."""
    steps_s = np.concatenate([np.diff(frames.stamps_s[part]) for part in frames.slices()])
    step_s = float(np.median(steps_s)) if len(steps_s) else 0.0
    return round(1.0 / step_s, 3) if step_s > 0 else 0.0


class _Replay:
    """The engine on the stored scores of frames, at any point of some views."""

    def __init__(
        self,
        model: PolymorphModel,
        manifest: Manifest,
        frames: LabelledFrames,
        views: Sequence[View],
    ) -> None:
        stored: dict[View, StoredScores] = {}
        for size in dict.fromkeys(size for size, _ in views):
            # with the bundle's own tails: the scout's scores are stored with those
            which = dict.fromkeys([None, *(tails for of, tails in views if of == size)])
            stored |= store_views(model, frames, size, list(which))
        pictures = thumbnails_of(frames, manifest.preprocessing)
        self._model = StoredModel(model, stored, pictures)
        self._manifest, self._frames = manifest, frames

    def measured(self, points: Iterable[OperatingPoint]) -> list[OperatingPoint]:
        """Each point as the engine does on it."""
        every = list(points)
        with progress_bar() as bars:
            task = bars.add_task("operating points", total=len(every), note="")
            found = []
            for point in every:
                found.append(self._measured(point))
                bars.update(task, advance=1)
        return found

    def _measured(self, point: OperatingPoint) -> OperatingPoint:
        replay = replay_engine(self._model, self._manifest, self._frames, point)
        accuracy = replay.mean_ap(self._frames)
        return point.model_copy(
            update={
                "adapters": round(replay.adapters / replay.computed, 4),
                "computed": round(replay.computed / len(self._frames), 4),
                "mean_ap": None if np.isnan(accuracy) else round(accuracy, 5),
            }
        )
