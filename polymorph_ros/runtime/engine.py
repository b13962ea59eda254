"""The engine: one frame in, one result out; every stage in the order in which it happens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.bundle.manifest import Manifest
from polymorph_ros.data.frame import Frame
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.runtime.belief import Floats, Mask
from polymorph_ros.runtime.camera_state import CameraState, Thresholds
from polymorph_ros.runtime.cover import greedy_cover, membership
from polymorph_ros.runtime.governor import Governor
from polymorph_ros.runtime.result import (
    Cover,
    FrameResult,
    LabelChange,
    ResultState,
    ScoreSource,
)
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
        self._thresholds = Thresholds.of(manifest)
        self._members = membership(model.contexts, len(model.labels))
        self._governor = Governor()
        self._cameras: dict[str, CameraState] = {}
        if settings is not None:
            self.apply(settings)

    def apply(self, settings: EngineSettings) -> None:
        """Use other settings from the next frame on."""
        self.settings = settings
        self._thresholds = Thresholds.of(self.manifest, settings.threshold_shift)

    def reset(self, camera: str | None = None) -> None:
        """Forget what was believed of one camera, or of all."""
        if camera is None:
            self._cameras.clear()
        else:
            self._cameras.pop(camera, None)

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
        with clock.stage("belief"):
            camera, restarted = self._camera(frame)
            camera.predict(frame.stamp_ns)
            camera.contexts.observe(np.asarray(context_scores, dtype=np.float64))
            scouted = np.asarray(label_scores, dtype=np.float64)
            camera.labels.observe(scouted)
        with clock.stage("cover"):
            cover = self._choose(camera, restarted)
        with clock.stage("tails"):
            answers = self.model.tails(tokens, cover.adapters) if cover.adapters else []
        with clock.stage("update"):
            sources = self._update(camera, cover, answers, scouted)
            changes = camera.update_active(self._thresholds)
        return self._result(frame, camera, cover, sources, changes, clock.seconds)

    def _camera(self, frame: Frame) -> tuple[CameraState, str]:
        """The camera's state, and why it is a new one if it is."""
        known = self._cameras.get(frame.camera)
        if known is None:
            reason = "first frame"
        elif frame.stamp_ns >= known.stamp_ns:
            return known, ""
        else:
            back_s = (known.stamp_ns - frame.stamp_ns) * 1e-9
            reason = f"stamps jumped back by {back_s:.3f} s: started anew"
        fresh = self._cameras[frame.camera] = CameraState(self.manifest, frame.stamp_ns)
        return fresh, reason

    def _choose(self, camera: CameraState, restarted: str) -> Cover:
        in_play = camera.in_play(self._thresholds)
        previous = camera.cover.adapters if camera.cover else ()
        limit = self._governor.limit(self.settings)
        chosen = greedy_cover(
            self._members,
            in_play,
            context_belief=camera.contexts.belief,
            previous=previous,
            limit=limit,
        )
        covered = self._members[list(chosen)].any(axis=0)
        uncovered = np.flatnonzero(in_play & ~covered).tolist()
        reason = restarted or self._reason(chosen, previous, in_play & ~camera.active)
        if uncovered:
            reason += f"; at most {limit} adapter(s) allowed"
        camera.cover = Cover(
            chosen, bool(restarted) or chosen != previous, reason, tuple(uncovered)
        )
        return camera.cover

    def _reason(
        self, chosen: tuple[int, ...], previous: tuple[int, ...], newly_in_play: Mask
    ) -> str:
        if chosen == previous:
            return "unchanged"
        names = self.model.context_names
        parts = [f"+{names[adapter]}" for adapter in chosen if adapter not in previous]
        parts += [f"-{names[adapter]}" for adapter in previous if adapter not in chosen]
        labels = np.flatnonzero(newly_in_play).tolist()
        cause = ", ".join(self.model.labels[label] for label in labels[:5])
        return " ".join(parts) + (f" (in play: {cause})" if cause else " (labels left)")

    def _update(
        self,
        camera: CameraState,
        cover: Cover,
        answers: list[NDArray[np.float32]],
        scouted: Floats,
    ) -> NDArray[np.uint8]:
        """Replace the scout's evidence by the adapters' where one ran; tell the sources.

        An adapter's score holds given that its context is there, so a label's score is
        ``P(context) P(label | context) + (1 - P(context)) P_scout(label)``. Where several active
        adapters know a label, the one whose context is likeliest speaks.
        """
        scores = scouted.copy()
        answered = np.zeros(scores.shape, dtype=np.bool_)
        context_belief = camera.contexts.belief
        for adapter, answer in sorted(
            zip(cover.adapters, answers, strict=True), key=lambda pair: context_belief[pair[0]]
        ):
            labels = list(self.model.contexts[adapter])
            here = context_belief[adapter]
            scores[labels] = here * answer + (1.0 - here) * scouted[labels]
            answered[labels] = True
        camera.labels.observe(scores, where=answered)
        return np.where(answered, ScoreSource.ADAPTER, ScoreSource.SCOUT).astype(np.uint8)

    def _result(
        self,
        frame: Frame,
        camera: CameraState,
        cover: Cover,
        sources: NDArray[np.uint8],
        changes: tuple[LabelChange, ...],
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
            scores=camera.labels.belief.astype(np.float32),
            sources=sources,
            ages_s=np.zeros(len(sources), dtype=np.float32),
            active_labels=tuple(np.flatnonzero(camera.active).tolist()),
            changes=changes,
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
