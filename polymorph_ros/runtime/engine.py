"""The engine: one frame in, one result out; every stage in the order in which it happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from torch import Tensor

from polymorph_ros.bundle.manifest import Manifest
from polymorph_ros.data.frame import Frame
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.interfaces.enumerations import ResultState
from polymorph_ros.model.polymorph import PolymorphModel, Scores
from polymorph_ros.runtime.governor import Governor
from polymorph_ros.runtime.knowledge import Knowledge
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
    ) -> None:
        self.model = model
        self.manifest = manifest
        self.ledger = ledger
        self._knowledge = replace(Knowledge.of(manifest), costs=model.costs)
        self._thresholds = self._knowledge.thresholds
        self._governor = Governor()
        self._make_policy = make_policy
        self._run_adapters = run_adapters or (
            lambda pixels, tokens, adapters: model.tails(tokens, adapters)
        )
        self._cameras: dict[str, _Camera] = {}
        self._reuse_cache = ReuseCache(manifest.reuse)
        self.apply(settings or EngineSettings())

    def apply(self, settings: EngineSettings) -> None:
        """Use other settings from the next frame on."""
        self.settings = settings
        self._thresholds = self._knowledge.thresholds.shifted(settings.threshold_shift)
        for camera in self._cameras.values():
            camera.policy.use(self._thresholds, settings.probe_share)
        self._reuse_cache.limit(settings.reuse_s)

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
        clock = _StageClock()
        with clock.stage("preprocess"):
            pixels = self.model.preprocess(frame.image)
        time = self._go_to(frame)
        if not self._reuse_cache.wanted:
            return self._compute(frame, time, pixels, clock)
        with clock.stage("compare"):
            thumbnail = self.model.thumbnail(pixels)
            alike = self._reuse_cache.find(frame.camera, time.ns, thumbnail)
        if alike is not None:
            return self._reuse(frame, time, alike, clock)
        result = self._compute(frame, time, pixels, clock)
        self._reuse_cache.keep(thumbnail, result)
        return result

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
        energy = self.ledger.finish_frame(0, clock.seconds)
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
            cover = policy.select(self._governor.limit(self.settings))
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
            policy.use(self._thresholds, self.settings.probe_share)
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
        energy = self.ledger.finish_frame(len(cover.adapters), stage_seconds)
        self._governor.learn(
            total_s=sum(stage_seconds.values()),
            tails_s=stage_seconds["tails"],
            adapters=len(cover.adapters),
            joules=energy.joules,
        )
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


@dataclass
class _Camera:
    """What is remembered of one camera; `begun`: whether a frame of it has been answered."""

    policy: Policy
    distances: DistanceFilter = field(default_factory=DistanceFilter)
    time_base: TimeBase = field(default_factory=TimeBase)
    begun: bool = False

    def start_anew(self, reason: str) -> None:
        """Forget all but the time."""
        self.policy.reset(reason)
        self.distances = DistanceFilter()
        self.begun = False


class _StageClock:
    """Seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start
