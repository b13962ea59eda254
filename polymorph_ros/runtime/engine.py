"""The engine: one frame in, one result out; every stage in the order in which it happens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from polymorph_ros.bundle.manifest import Manifest
from polymorph_ros.data.frame import Frame
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.runtime.governor import Governor
from polymorph_ros.runtime.knowledge import Knowledge
from polymorph_ros.runtime.policy import Policy, Verdict
from polymorph_ros.runtime.result import Cover, FrameResult, ResultState
from polymorph_ros.runtime.settings import EngineSettings


class Engine:
    """Labels frames of one or several cameras with a bundle's model.

    Not thread-safe: one thread calls ``step``; ``apply`` and ``reset`` are called between frames.

    Args:
        model: the bundle's model on its device.
        manifest: the bundle's text.
        ledger: the account that every frame is entered in.
        settings: what may change later through ``apply``.
    """

    def __init__(
        self,
        model: PolymorphModel,
        manifest: Manifest,
        ledger: EnergyLedger,
        settings: EngineSettings | None = None,
    ) -> None:
        self.model = model
        self.manifest = manifest
        self.ledger = ledger
        self.settings = EngineSettings()
        self._knowledge = Knowledge.of(manifest)
        self._thresholds = self._knowledge.thresholds
        self._governor = Governor()
        self._policies: dict[str, Policy] = {}
        if settings is not None:
            self.apply(settings)

    def apply(self, settings: EngineSettings) -> None:
        """Use other settings from the next frame on."""
        self.settings = settings
        self._thresholds = self._knowledge.thresholds.shifted(settings.threshold_shift)
        for policy in self._policies.values():
            policy.use(self._thresholds)

    def reset(self, camera: str | None = None) -> None:
        """Forget what was believed of one camera, or of all."""
        if camera is None:
            self._policies.clear()
        else:
            self._policies.pop(camera, None)

    def step(self, frame: Frame) -> FrameResult:
        """Label one frame.

        A stamp before the camera's last one (a bag that loops, a clock that was set back)
        starts that camera anew. A frame that fails leaves no entry in the ledger.
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
        with clock.stage("trunk"):
            tokens = self.model.trunk(pixels)
        with clock.stage("scout"):
            label_scores, context_scores = self.model.scout(tokens)
        policy = self._policy(frame.camera)
        with clock.stage("belief"):
            policy.see(frame.stamp_ns, label_scores, context_scores)
        with clock.stage("cover"):
            cover = policy.choose(self._governor.limit(self.settings))
        with clock.stage("tails"):
            answers = self.model.tails(tokens, cover.adapters) if cover.adapters else []
        with clock.stage("update"):
            verdict = policy.hear(cover.adapters, answers)
        return self._result(frame, cover, verdict, clock.seconds)

    def _policy(self, camera: str) -> Policy:
        policy = self._policies.get(camera)
        if policy is None:
            policy = self._policies[camera] = Policy(self._knowledge, self._thresholds)
        return policy

    def _result(
        self,
        frame: Frame,
        cover: Cover,
        verdict: Verdict,
        stage_seconds: dict[str, float],
    ) -> FrameResult:
        energy = self.ledger.finish_frame(len(cover.adapters), stage_seconds)
        self._governor.learn(
            total_s=sum(stage_seconds.values()),
            tails_s=stage_seconds["tails"],
            adapters=len(cover.adapters),
            joules=energy.joules,
        )
        degraded = bool(cover.uncovered)
        return FrameResult(
            stamp_ns=frame.stamp_ns,
            camera=frame.camera,
            state=ResultState.DEGRADED if degraded else ResultState.FRESH,
            reason=cover.reason if degraded else "",
            scores=verdict.scores,
            sources=verdict.sources,
            ages_s=verdict.ages_s,
            active_labels=verdict.active_labels,
            changes=verdict.changes,
            cover=cover,
            stage_seconds=stage_seconds,
            energy=energy,
        )


class _StageClock:
    """Seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start
