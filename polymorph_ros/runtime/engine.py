"""The engine: one frame in, one result out; every stage in the order in which it happens."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from torch import Tensor

from polymorph_ros.bundle.manifest import Manifest
from polymorph_ros.data.frame import Frame
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.reading import FrameEnergy
from polymorph_ros.interfaces.enumerations import ResultState
from polymorph_ros.model.polymorph import PolymorphModel, Scores
from polymorph_ros.runtime.budget import WINDOW_S, Mean
from polymorph_ros.runtime.governor import FrameCost, Governor
from polymorph_ros.runtime.knowledge import Knowledge
from polymorph_ros.runtime.operating_points import Table, table_of
from polymorph_ros.runtime.policy import Policy, PolicyOutput
from polymorph_ros.runtime.result import Cover, FrameResult
from polymorph_ros.runtime.reuse import ReuseCache, Thumbnail, mean_difference, reused_result
from polymorph_ros.runtime.settings import EngineSettings
from polymorph_ros.runtime.thresholds import Thresholds
from polymorph_ros.runtime.time_base import FrameTime, TimeBase
from polymorph_ros.runtime.unknown_scene import NOT_JUDGED, DistanceFilter, SceneNovelty, judge
from polymorph_ros.runtime.work import LEARN_S

MakePolicy = Callable[[Knowledge, Thresholds], Policy]
RunAdapters = Callable[[Tensor, Tensor, Sequence[int]], list[Scores]]
"""Pixels (1, 3, S, S), tokens (1, N, D) and adapters to each adapter's answer, as ``tails``."""


class Engine:
    """Labels frames of one or several cameras with a bundle's model.

    Not thread-safe: one thread calls ``step``; ``apply`` and ``reset`` are called between frames.

    Args:
        model: the bundle's model on its device.
        manifest: the bundle's text.
        ledger: every frame is entered in it.
        settings: the first ones; ``apply`` replaces them.
        make_policy: makes each camera's policy, from what is known and the thresholds; another one
            than Polymorph's to compare with.
        run_adapters: how adapters are run, to compare with; else composed, by the model.
        table: what the governor may trade; the bundle's, if none is given. Without a set-point its
            first point holds.
        clock: seconds, never falling: what stages take, and the governor's time.
    """

    def __init__(
        self,
        model: PolymorphModel,
        manifest: Manifest,
        ledger: EnergyLedger,
        settings: EngineSettings | None = None,
        *,
        make_policy: MakePolicy = Policy,
        run_adapters: RunAdapters | None = None,
        table: Table | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.model = model
        self.manifest = manifest
        self.ledger = ledger
        self._knowledge = replace(Knowledge.of(manifest), costs=model.costs)
        self._thresholds = self._knowledge.thresholds
        self._governor = Governor(table or table_of(manifest))
        self._now = clock
        self._make_policy = make_policy
        self._run_adapters = run_adapters or (
            lambda pixels, tokens, adapters: model.tails(tokens, adapters, self._point.tail_tokens)
        )
        self._cameras: dict[str, _Camera] = {}
        self._reuse_cache = ReuseCache(manifest.reuse)
        self.apply(settings or EngineSettings())

    def apply(self, settings: EngineSettings) -> None:
        """Use other settings from the next frame on."""
        settings.require_labels([label.name for label in self.manifest.labels])
        self.settings = settings
        self._thresholds = self._knowledge.thresholds.shifted(settings.threshold_shift)
        for camera in self._cameras.values():
            self._set_up(camera.policy)
        self._reuse_cache.limit(settings.reuse_s)

    def _set_up(self, policy: Policy) -> None:
        settings = self.settings
        policy.use(self._thresholds, settings.probe_share, settings.priority_labels)

    def reset(self, camera: str | None = None) -> None:
        """Forget what was believed of one camera, or of all."""
        self._reuse_cache.forget(camera)
        self._governor.forget(camera)
        if camera is None:
            self._cameras.clear()
        else:
            self._cameras.pop(camera, None)

    def step(self, frame: Frame) -> FrameResult:
        """Label one frame.

        Time goes by the stamps of each camera, or by receipt where they are not sane
        (``runtime/time_base.py``). Stamps that jump back (a bag that loops, a clock that was set
        back) start a camera anew; a frame that comes a little late is labelled without moving
        time. A frame that fails leaves no entry in the ledger, and its error
        is raised as it is.
        """
        self.ledger.start_frame()
        try:
            return _with_trouble(self._step(frame), self._governor.trouble)
        except BaseException:
            self.ledger.cancel_frame()
            raise

    def _step(self, frame: Frame) -> FrameResult:
        """Skip the frame, reuse the last result as the picture is as before, or compute it."""
        clock = _StageClock(self._now)
        camera = self._camera(frame.camera)
        with clock.stage("preprocess"):
            pixels = self.model.preprocess(frame.image)
        reuse = self._reuse_cache.wanted
        thumbnail = None
        if reuse or self._governor.may_skip(self.settings):
            with clock.stage("compare"):
                thumbnail = self.model.thumbnail(pixels)
        time = self._go_to(frame)
        plan = self._governor.plan(
            *(self.settings, self._now(), frame.camera),
            change=camera.change(thumbnail),
            hz=1.0 / camera.period_s.value,
            reuse=reuse,
        )
        self._point = plan.point
        if camera.last is not None and not plan.compute:
            return self._skip(frame, time, camera.last, clock)
        if thumbnail is not None and reuse:
            with clock.stage("compare"):
                alike = self._reuse_cache.find(
                    frame.camera, time.ns, thumbnail, plan.point.reuse_scale
                )
            if alike is not None:
                return self._reuse(frame, time, alike, clock)
        if plan.point.size:
            with clock.stage("preprocess"):
                pixels = self.model.preprocess(frame.image, plan.point.size)
        camera.last = self._compute(frame, time, pixels, clock)
        camera.thumbnail = thumbnail
        if thumbnail is not None and reuse:
            self._reuse_cache.keep(thumbnail, camera.last)
        return camera.last

    def _skip(
        self, frame: Frame, time: FrameTime, last: FrameResult, clock: _StageClock
    ) -> FrameResult:
        """The last result, because the budget does not allow to compute this frame."""
        with clock.stage("reuse"):
            output = self._camera(frame.camera).policy.reuse(time.ns)
        energy = self._finish(0, clock.seconds, computed=False)
        cause = "the budget does not allow to compute this frame; the last was"
        return reused_result(last, frame.stamp_ns, time, output, clock.seconds, energy, cause)

    def _finish(
        self, adapters: int, stage_seconds: dict[str, float], *, computed: bool
    ) -> FrameEnergy:
        """Enter the frame in the ledger, and let the governor learn from it."""
        energy = self.ledger.finish_frame(adapters, stage_seconds)
        seconds, tails_s = sum(stage_seconds.values()), stage_seconds.get("tails", 0.0)
        self._governor.learn(self._now(), FrameCost(seconds, tails_s, adapters, computed, energy))
        return energy

    def _go_to(self, frame: Frame) -> FrameTime:
        """The frame's time; its camera starts anew where the time base says so."""
        camera = self._camera(frame.camera)
        time = camera.time_base.take(frame.stamp_ns, frame.received_ns)
        camera.note(time.ns)
        if time.restarted:
            self._reuse_cache.forget(frame.camera)
            self._governor.forget(frame.camera)
            camera.start_anew(time.restarted)
        return time

    def _reuse(
        self, frame: Frame, time: FrameTime, alike: FrameResult, clock: _StageClock
    ) -> FrameResult:
        """The result of a frame whose picture is as the last computed one's."""
        with clock.stage("reuse"):
            policy = self._camera(frame.camera).policy
            output = policy.reuse(time.ns, self._reuse_cache.pace)
        energy = self._finish(0, clock.seconds, computed=False)
        return reused_result(alike, frame.stamp_ns, time, output, clock.seconds, energy)

    def _compute(
        self, frame: Frame, time: FrameTime, pixels: Tensor, clock: _StageClock
    ) -> FrameResult:
        with clock.stage("trunk"):
            tokens = self.model.trunk(pixels)
        distance = None
        # what is usual is known of pictures of the bundle's size only
        judged = self.settings.detect_unknown_scenes and not self._point.size
        if self.manifest.unknown_scene and judged:
            with clock.stage("unknown_scene"):
                distance = self.model.feature_distance(tokens)
                if distance is not None:  # it is there when the scout's scores are
                    distance = distance.to("cpu", non_blocking=True)
        with clock.stage("scout"):
            label_scores, context_scores = self.model.scout(tokens)
        camera = self._camera(frame.camera)
        novelty = self._judge(camera, time, distance)
        policy = camera.policy
        with clock.stage("belief"):
            policy.update_from_scout(
                frame.stamp_ns,
                label_scores,
                context_scores,
                trust=novelty.trust,
                time_ns=time.ns,
            )
        with clock.stage("cover"):
            policy.raise_cover(self._point.cover_shift)
            limits = (self.settings.max_adapters, self._point.max_adapters)
            cover = policy.select(min((limit for limit in limits if limit), default=0))
        with clock.stage("tails"):
            adapters = cover.adapters
            answers = self._run_adapters(pixels, tokens, adapters) if adapters else []
        with clock.stage("update"):
            output = policy.update_from_adapters(cover.adapters, answers)
        result = self._result(frame, novelty, cover, output, clock.seconds)
        result = replace(result, time=time, started_anew=not camera.begun)
        camera.begun = True
        if not self.settings.pooled_features:
            return result
        return replace(result, feature=self.model.pooled_feature(tokens))

    def _judge(self, camera: _Camera, time: FrameTime, distance: Tensor | None) -> SceneNovelty:
        entry = self.manifest.unknown_scene
        if entry is None or distance is None:
            return NOT_JUDGED
        return judge(camera.distances.take(time.ns, float(distance)), entry.threshold)

    def _camera(self, name: str) -> _Camera:
        if name not in self._cameras:
            policy = self._make_policy(self._knowledge, self._thresholds)
            self._set_up(policy)
            self._cameras[name] = _Camera(policy)
        return self._cameras[name]

    def _result(
        self,
        frame: Frame,
        novelty: SceneNovelty,
        cover: Cover,
        output: PolicyOutput,
        stage_seconds: dict[str, float],
    ) -> FrameResult:
        energy = self._finish(len(cover.adapters), stage_seconds, computed=True)
        state, reason = _trust(novelty, cover)
        return FrameResult(
            camera=frame.camera,
            stamp_ns=frame.stamp_ns,
            vocabulary=self.model.labels,
            context_names=self.model.context_names,
            score_array=output.scores,
            sources=output.sources,
            ages_s=output.ages_s,
            active_indices=output.active_indices,
            changes=output.changes,
            cover=cover,
            stage_seconds=stage_seconds,
            energy=energy,
            state=state,
            reason=reason,
            unknown_scene=novelty,
            rejected_scores=output.rejected,
        )


def _trust(novelty: SceneNovelty, cover: Cover) -> tuple[ResultState, str]:
    """How far a computed result can be trusted, and why no farther: the gravest reason first."""
    state, reasons = ResultState.FRESH, []
    if cover.uncovered:
        state = ResultState.DEGRADED
        reasons.append(cover.reason)
    if novelty.unknown:
        state = ResultState.UNKNOWN_SCENE
        reasons.insert(0, f"unlike anything seen in training (novelty {novelty.novelty:.2f})")
    return state, "; ".join(reasons)


def _with_trouble(result: FrameResult, trouble: str) -> FrameResult:
    """The result of a frame at whose end some set-point was not kept."""
    if not trouble:
        return result
    if result.state == ResultState.UNKNOWN_SCENE:
        return replace(result, reason=f"{result.reason}; {trouble}")
    reason = "; ".join(filter(None, (trouble, result.reason)))
    return replace(result, state=ResultState.DEGRADED, reason=reason)


@dataclass
class _Camera:
    """What is remembered of one camera.

    ``begun``: whether a frame of it has been answered; ``last``: its last computed result;
    ``thumbnail``: of its picture; ``period_s``: between frames, by the camera's own time.
    """

    policy: Policy
    distances: DistanceFilter = field(default_factory=DistanceFilter)
    time_base: TimeBase = field(default_factory=TimeBase)
    begun: bool = False
    last: FrameResult | None = None
    thumbnail: Thumbnail | None = None
    period_s: Mean = field(default_factory=lambda: Mean(LEARN_S))
    time_ns: int | None = None

    def change(self, thumbnail: Thumbnail | None) -> float:
        """How much a picture differs from the last computed one; NaN where one is not known."""
        if thumbnail is None or self.thumbnail is None:
            return math.nan
        return mean_difference(thumbnail, self.thumbnail)

    def note(self, time_ns: int) -> None:
        """Learn how often frames come."""
        elapsed_s = (time_ns - self.time_ns) * 1e-9 if self.time_ns is not None else 0.0
        if 0.0 < elapsed_s < WINDOW_S:
            self.period_s.add(elapsed_s, elapsed_s)
        self.time_ns = time_ns

    def start_anew(self, reason: str) -> None:
        """Forget all but the time."""
        self.policy.reset(reason)
        self.distances = DistanceFilter()
        self.begun, self.last, self.thumbnail = False, None, None


class _StageClock:
    """Seconds of each stage."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = self._now()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + self._now() - start
