"""Methods that run trained baselines."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polymorph_ros.bundle.manifest import ReuseEntry
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.data.frame import Frame
from polymorph_ros.evaluation.baselines.files import (
    Baseline,
    GivenContext,
    read_baseline,
    read_given_context,
)
from polymorph_ros.evaluation.baselines.scorer import Scorer, logits_of, sigmoid
from polymorph_ros.evaluation.methods.engine_method import AS_THE_NODE, EngineMethod
from polymorph_ros.evaluation.methods.method import Labelled
from polymorph_ros.evaluation.methods.policies import AllAdapters
from polymorph_ros.model.polymorph import PolymorphModel, Scores, choose_device
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.model.thumbnail import thumbnails
from polymorph_ros.runtime.engine import MakePolicy
from polymorph_ros.runtime.policy import Policy
from polymorph_ros.runtime.reuse import difference
from polymorph_ros.training.frames import LabelledFrames
from polymorph_ros.training.rehearsal import rehearse

ALL = ("all_labels",)


class BaselineMethod:
    """Scores every frame on its own; a label is active at or above its threshold.

    Args:
        name: what tables call it.
        skip: reuses the last scores while the picture stays as it is; None: never.
    """

    def __init__(
        self,
        name: str,
        baseline: Baseline,
        bundle: Bundle,
        device: str,
        skip: ReuseEntry | None = None,
    ) -> None:
        self.name = name
        chosen = choose_device(device)
        self._scorer = Scorer(baseline, bundle, chosen)
        self._preprocessor = Preprocessor(baseline.text.preprocessing, chosen)
        self._std = baseline.text.preprocessing.std
        self._on = np.array(baseline.text.on)
        self._adapters = ALL if baseline.text.form == "lora" else ()
        self._skip = skip
        self._last: tuple[int, NDArray[np.float32], Scores] | None = None

    def reset(self) -> None:
        self._last = None

    @torch.inference_mode()
    def label(self, frame: Frame, truth: NDArray[np.int8]) -> Labelled:
        seconds: dict[str, float] = {}
        start = time.perf_counter()
        pixels = self._preprocessor(frame.image)
        seconds["preprocess"], start = _since(start)
        scores = self._reused(frame, pixels) if self._skip else None
        ran = scores is None
        if scores is None:
            tokens = self._scorer.trunk(pixels)
            seconds["trunk"], start = _since(start)
            scores = self._scorer.scores(tokens)
            seconds["tails"], _ = _since(start)
            self._keep(frame, pixels, scores)
        adapters = self._adapters if ran else ()
        return Labelled(scores, scores >= self._on, adapters, False, seconds)

    def _reused(self, frame: Frame, pixels: Tensor) -> Scores | None:
        """The last computed scores, if the picture is as it was then."""
        if self._last is None or self._skip is None:
            return None
        stamp_ns, thumbnail, scores = self._last
        longest_s = min(self._skip.max_age_s, AS_THE_NODE.reuse_s)
        if frame.stamp_ns - stamp_ns > longest_s * 1e9:
            return None
        same = difference(self._thumbnail(pixels), thumbnail) <= self._skip.difference
        return scores if same else None

    def _keep(self, frame: Frame, pixels: Tensor, scores: Scores) -> None:
        if self._skip is not None:
            self._last = (frame.stamp_ns, self._thumbnail(pixels), scores)

    def _thumbnail(self, pixels: Tensor) -> NDArray[np.float32]:
        found: NDArray[np.float32] = thumbnails(pixels, self._std)[0].cpu().numpy()
        return found


def _since(start: float) -> tuple[float, float]:
    now = time.perf_counter()
    return now - start, now


class AllLabelModel(PolymorphModel):
    """A bundle's model in which one LoRA of all labels answers for every adapter."""

    baseline_scores: Scores
    _scorer: Scorer
    _given: GivenContext

    def use(self, baseline: Baseline, bundle: Bundle) -> AllLabelModel:
        """Answer with this baseline from now on."""
        self._scorer = Scorer(baseline, bundle, self.device)
        self._given = read_given_context(baseline.folder)
        self.baseline_scores = np.zeros(len(self.labels), np.float32)
        return self

    @torch.inference_mode()
    def tails(self, tokens: Tensor, adapters: Sequence[int]) -> list[Scores]:
        self.baseline_scores = self._scorer.scores(tokens)
        given = logits_of(self.baseline_scores) * self._given.scale + self._given.shift
        return [sigmoid(given[adapter, list(self.contexts[adapter])]) for adapter in adapters]


class AllLabelEngine:
    """An engine with one LoRA of all labels in place of the adapters.

    Args:
        name: what tables call it.
        make_policy: which of the contexts it answers for.
        restricted: whether the LoRA's own scores are told, 0 for labels outside the cover,
            instead of the engine's beliefs.
    """

    def __init__(
        self,
        name: str,
        baseline: Baseline,
        bundle: Bundle,
        device: str,
        make_policy: MakePolicy,
        *,
        restricted: bool = False,
    ) -> None:
        self.name = name
        model = AllLabelModel.from_bundle(bundle, device)
        assert isinstance(model, AllLabelModel)
        self._model = model.use(baseline, bundle)
        self._method = EngineMethod(
            name, self._model, _with_thresholds(bundle, baseline), make_policy
        )
        self._restricted = restricted
        self._on = np.array(baseline.text.on)

    @property
    def method(self) -> EngineMethod:
        """The engine behind it."""
        return self._method

    def reset(self) -> None:
        self._method.reset()

    def label(self, frame: Frame, truth: NDArray[np.int8]) -> Labelled:
        said = self._method.label(frame, truth)
        assert said.result is not None
        cover = said.result.cover.adapters
        alone = replace(said, adapters=ALL if cover else (), adapters_changed=False, result=None)
        if not self._restricted:
            return alone
        kept = np.zeros(len(said.scores), np.bool_)
        kept[[label for adapter in cover for label in self._model.contexts[adapter]]] = True
        scores = np.where(kept, self._model.baseline_scores, np.float32(0))
        return replace(alone, scores=scores, active=kept & (scores >= self._on))


def _with_thresholds(bundle: Bundle, baseline: Baseline) -> Bundle:
    """The bundle with the baseline's thresholds on beliefs; those that cover labels stay."""
    if not baseline.text.belief_on:
        return bundle
    pairs = zip(baseline.text.belief_on, baseline.text.belief_off, strict=True)
    labels = tuple(
        label.model_copy(update={"on": on, "off": off})
        for label, (on, off) in zip(bundle.manifest.labels, pairs, strict=True)
    )
    return replace(bundle, manifest=bundle.manifest.model_copy(update={"labels": labels}))


def all_label_lora(name: str, bundle: Bundle, device: str, baselines: Path) -> BaselineMethod:
    """The LoRA of an adapter's rank."""
    return BaselineMethod(name, read_baseline(baselines / "lora", bundle), bundle, device)


def frame_skip(name: str, bundle: Bundle, device: str, baselines: Path) -> BaselineMethod:
    """The same, that skips pictures which the bundle takes for unchanged."""
    baseline = read_baseline(baselines / "lora", bundle)
    return BaselineMethod(name, baseline, bundle, device, bundle.manifest.reuse)


def of_folder(
    folder: str, name: str, bundle: Bundle, device: str, baselines: Path
) -> BaselineMethod:
    """Another baseline that scores every frame on its own."""
    return BaselineMethod(name, read_baseline(baselines / folder, bundle), bundle, device)


def restricted_head(name: str, bundle: Bundle, device: str, baselines: Path) -> AllLabelEngine:
    """The LoRA of an adapter's rank, its scores kept for labels of active contexts only."""
    baseline = read_baseline(baselines / "lora", bundle)
    return AllLabelEngine(name, baseline, bundle, device, Policy, restricted=True)


def all_label_lora_belief(
    name: str, bundle: Bundle, device: str, baselines: Path
) -> AllLabelEngine:
    """The LoRA of all adapters' size with Polymorph's belief; it answers for every context."""
    baseline = read_baseline(baselines / "lora_same_size", bundle)
    return AllLabelEngine(name, baseline, bundle, device, AllAdapters)


def all_label_weights(name: str, bundle: Bundle, device: str, baselines: Path) -> AllLabelEngine:
    """The same, answering only for the contexts that Polymorph's policy covers."""
    baseline = read_baseline(baselines / "lora_same_size", bundle)
    return AllLabelEngine(name, baseline, bundle, device, Policy)


def beliefs(bundle: Bundle, baseline: Baseline, frames: LabelledFrames) -> NDArray[np.float32]:
    """What an engine with a baseline in place of the adapters believes of frames."""
    engine = AllLabelEngine("validation", baseline, bundle, "cpu", AllAdapters).method.engine
    return np.stack([result.score_array for result in rehearse(engine, frames)])
