"""A trained baseline that scores every frame on its own."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polymorph_ros.bundle.manifest import ReuseEntry
from polymorph_ros.data.frame import Frame
from polymorph_ros.evaluation.baselines.entry import Source, Weights
from polymorph_ros.evaluation.baselines.scorer import Scorer
from polymorph_ros.evaluation.baselines.trained import TrainedBaseline
from polymorph_ros.evaluation.methods.engine_method import AS_THE_NODE
from polymorph_ros.evaluation.methods.method import Labelled
from polymorph_ros.model.gpu import choose_device
from polymorph_ros.model.polymorph import Scores
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.model.thumbnail import thumbnails
from polymorph_ros.runtime.reuse import difference

ALL_LABELS = ("all_labels",)  # the name of an adapter of all labels


class SingleFrameMethod:
    """A label is active at or above its threshold.

    Args:
        name: what tables call it.
        baseline: what scores.
        source: the bundle and the device.
        skip: reuses the last scores while the picture stays as it is; None: never.
    """

    def __init__(
        self, name: str, baseline: TrainedBaseline, source: Source, skip: ReuseEntry | None = None
    ) -> None:
        self.name = name
        device, text = choose_device(source.device), baseline.text
        self._scorer = Scorer(baseline, source.bundle, device)
        self._preprocessor = Preprocessor(text.preprocessing, device)
        self._std = text.preprocessing.std
        self._on = np.array(text.on)
        self._adapters = ALL_LABELS if text.form == "lora" else ()
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
            if self._skip is not None:
                self._last = (frame.stamp_ns, self._thumbnail(pixels), scores)
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

    def _thumbnail(self, pixels: Tensor) -> NDArray[np.float32]:
        found: NDArray[np.float32] = thumbnails(pixels, self._std)[0].cpu().numpy()
        return found


def single_frame(weights: Weights) -> Callable[[str, Source], SingleFrameMethod]:
    """What builds the method of these weights."""
    return lambda name, source: SingleFrameMethod(name, source.trained(weights), source)


def _since(start: float) -> tuple[float, float]:
    now = time.perf_counter()
    return now - start, now
