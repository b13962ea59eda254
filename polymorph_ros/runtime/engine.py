"""The engine: one frame in, one result out; every stage in the order in which it happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from torch import Tensor

from polymorph_ros.bundle.manifest import Manifest, OperatingPoint
from polymorph_ros.data.frame import Frame
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.reading import FrameEnergy
from polymorph_ros.interfaces.enumerations import ResultState
from polymorph_ros.model.polymorph import PolymorphModel, Scores
from polymorph_ros.runtime.governor import FrameCost, Governor
from polymorph_ros.runtime.knowledge import Knowledge
from polymorph_ros.runtime.operating_points import points_of
from polymorph_ros.runtime.policy import Policy, PolicyOutput
from polymorph_ros.runtime.result import Cover, FrameResult
from polymorph_ros.runtime.reuse import ReuseCache, reused_result
from polymorph_ros.runtime.settings import EngineSettings
from polymorph_ros.runtime.thresholds import Thresholds
from polymorph_ros.runtime.time_base import FrameTime, TimeBase
from polymorph_ros.runtime.unknown_scene import NOT_JUDGED, DistanceFilter, SceneNovelty, judge

MakePolicy = Callable[[Knowledge, Thresholds], Policy]
RunAdapters = Callable[[Tensor, Tensor, Sequence[int]], list[Scores]]
"""Pixels (1, 3, S, S), tokens (1, N, D) and adapters to each adapter's answer, as ``tails``."""


class Engine:
    """Labels frames of one or several cameras with a bundle's model.

    Not thread-safe: one thread calls ``step``; ``apply`` and ``reset`` are called between frames.

    Args:
        model: the bundle's model on its device.
        manifest: the bundle's text.
        ledger: the account that every frame is entered in.
        settings: the first ones; ``apply`` replaces them.
        make_policy: makes each camera's policy, from what is known and the thresholds; another one
            than Polymorph's to compare with.
        run_adapters: how adapters are run, to compare with; else composed, by the model.
        points: what the governor may trade; the bundle's, if none are given.
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
        points: Sequence[OperatingPoint] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.model = model
        self.manifest = manifest
        self.ledger = ledger
        self._knowledge = replace(Knowledge.of(manifest), costs=model.costs)
        self._thresholds = self._knowledge.thresholds
        self._governor = Governor(points or points_of(manifest))
        self._now = clock
        self._make_policy = make_policy
        self._run_adapters = run_adapters or (
            lambda pixels, tokens, adapters: model.tails(tokens, adapters)
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
            return self._step(frame)
        except BaseException:
            self.ledger.cancel_frame()
            raise

    def _step(self, frame: Frame) -> FrameResult:
        clock = _StageClock(self._now)
        self._point = self._governor.plan(self.settings)
        camera = self._camera(frame.camera)
        if camera.skipped + 1 < self._point.every:
            time = self._go_to(frame)
            if camera.last is not None:
                camera.skipped += 1
                return self._skip(frame, time, camera.last, clock)
            pixels = self._preprocess(frame, clock)
        else:
            pixels = self._preprocess(frame, clock)
            time = self._go_to(frame)
        result = self._look(frame, time, pixels, clock)
        camera.skipped = 0
        return result

    def _preprocess(self, frame: Frame, clock: _StageClock) -> Tensor:
        with clock.stage("preprocess"):
            return self.model.preprocess(frame.image)

    def _look(
        self, frame: Frame, time: FrameTime, pixels: Tensor, clock: _StageClock
    ) -> FrameResult:
        """Reuse the last result if the picture is as before, or compute the frame."""
        camera = self._camera(frame.camera)
        if not self._reuse_cache.wanted:
            camera.last = self._compute(frame, time, pixels, clock)
            return camera.last
        with clock.stage("compare"):
            thumbnail = self.model.thumbnail(pixels)
            scale = self._point.reuse_scale
            alike = self._reuse_cache.find(frame.camera, time.ns, thumbnail, scale)
        if alike is not None:
            return self._reuse(frame, time, alike, clock)
        camera.last = self._compute(frame, time, pixels, clock)
        self._reuse_cache.keep(thumbnail, camera.last)
        return camera.last

    def _skip(
        self, frame: Frame, time: FrameTime, last: FrameResult, clock: _StageClock
    ) -> FrameResult:
        """The last result, because the budget does not allow to compute this frame."""
        with clock.stage("reuse"):
            output = self._camera(frame.camera).policy.reuse(time.ns)
        energy = self._finish(0, clock.seconds, computed=False)
        cause = f"the budget has one of {self._point.every} frames computed; the last was"
        return reused_result(last, frame.stamp_ns, time, output, clock.seconds, energy, cause)

    def _finish(
        self, adapters: int, stage_seconds: dict[str, float], *, computed: bool
    ) -> FrameEnergy:
        """Enter the frame in the ledger and in the governor's accounts."""
        energy = self.ledger.finish_frame(adapters, stage_seconds)
        seconds, tails_s = sum(stage_seconds.values()), stage_seconds.get("tails", 0.0)
        self._governor.learn(self._now(), FrameCost(seconds, tails_s, adapters, computed, energy))
        return energy

    def _go_to(self, frame: Frame) -> FrameTime:
        """The frame's time; its camera starts anew where the time base says so."""
        camera = self._camera(frame.camera)
        time = camera.time_base.take(frame.stamp_ns, frame.received_ns)
        if time.restarted:
            self._reuse_cache.forget(frame.camera)
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
        if self.manifest.unknown_scene and self.settings.detect_unknown_scenes:
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
        state, reason = _trust(novelty, cover, self._governor.trouble)
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


def _trust(novelty: SceneNovelty, cover: Cover, trouble: str) -> tuple[ResultState, str]:
    """How far a computed result can be trusted, and why no farther: the gravest reason first."""
    state, reasons = ResultState.FRESH, []
    if cover.uncovered:
        state = ResultState.DEGRADED
        reasons.append(cover.reason)
    if trouble:
        state = ResultState.DEGRADED
        reasons.insert(0, trouble)
    if novelty.unknown:
        state = ResultState.UNKNOWN_SCENE
        reasons.insert(0, f"unlike anything seen in training (novelty {novelty.novelty:.2f})")
    return state, "; ".join(reasons)


@dataclass
class _Camera:
    """What is remembered of one camera.

    ``begun``: whether a frame of it has been answered; ``last``: its last computed result;
    ``skipped``: frames since, of those that the budget did not allow to compute.
    """

    policy: Policy
    distances: DistanceFilter = field(default_factory=DistanceFilter)
    time_base: TimeBase = field(default_factory=TimeBase)
    begun: bool = False
    last: FrameResult | None = None
    skipped: int = 0

    def start_anew(self, reason: str) -> None:
        """Forget all but the time."""
        self.policy.reset(reason)
        self.distances = DistanceFilter()
        self.begun, self.last = False, None


class _StageClock:
    """Seconds of each stage."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = self._now()
        yield
        self.seconds[name] = self._now() - start
