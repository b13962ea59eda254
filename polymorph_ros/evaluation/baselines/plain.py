"""Baselines with a linear head: on the frozen backbone, or on one that is trained with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polymorph_ros.evaluation.baselines.entry import Entry, Weights
from polymorph_ros.evaluation.baselines.head_stage import (
    HeadFeatures,
    HeadStage,
    Loss,
    trained_head,
)
from polymorph_ros.evaluation.baselines.losses import Selective
from polymorph_ros.evaluation.baselines.single_frame import single_frame
from polymorph_ros.model.backbone import Backbone
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.training.frames import load_frames
from polymorph_ros.training.losses import known_bce
from polymorph_ros.training.token_set import TokenFiles

_BATCH = 256


@dataclass(frozen=True)
class LinearProbeStage(HeadStage):
    """A head on the frozen backbone's feature, from cached trunk tokens."""

    @property
    def name(self) -> str:
        return "baseline-linear-probe"

    def features(self, backbone: Backbone) -> HeadFeatures:
        def pooled(files: TokenFiles) -> Tensor:
            data, blocks = files.load(self.contexts, self.device), self.config.tail_blocks
            with torch.no_grad():
                return torch.cat([backbone.tail(tokens, blocks) for tokens in data.batches()])

        train = pooled(self.train)
        return HeadFeatures(
            lambda batch, rng: train[batch], lambda: iter([pooled(self.validation)])
        )


@dataclass(frozen=True)
class SelectiveProbeStage(LinearProbeStage):
    """The same head with a loss that takes some of the unknown labels for absent.

    How frequent labels are is what a first head says that learned from known cells only.
    """

    @property
    def name(self) -> str:
        return "baseline-selective-probe"

    def loss(
        self, backbone: Backbone, features: HeadFeatures, truth: NDArray[np.int8], folder: Path
    ) -> Loss:
        torch.manual_seed(self.seed)
        first = self.head(backbone, truth.shape[1]).to(self.device)
        rng = np.random.default_rng(self.seed)
        checkpoint = folder / ".first.safetensors"  # what is hidden goes with the checkpoint
        self.fit(first, list(first.parameters()), features, truth, known_bce, checkpoint)
        with torch.inference_mode():
            said = first(features.of_batch(np.arange(len(truth)), rng)).sigmoid()
        return Selective(said.mean(dim=0))


@dataclass(frozen=True)
class FullFinetuneStage(HeadStage):
    """Every weight of the backbone and a head, from pictures."""

    trains_backbone = True
    rate = 0.1  # what has learned something already wants smaller steps than a new LoRA

    @property
    def name(self) -> str:
        return "baseline-full-finetune"

    def features(self, backbone: Backbone) -> HeadFeatures:
        frames = load_frames(self.train.frames.folder).images
        held_out = load_frames(self.validation.frames.folder).images
        preprocessor = Preprocessor(self.preprocessing, self.device)

        def pooled(images: np.ndarray) -> Tensor:
            pixels = preprocessor.batch(np.ascontiguousarray(images))
            return backbone.trainable_feature(pixels)

        def batches() -> Iterator[Tensor]:
            for first in range(0, len(held_out), _BATCH):
                yield pooled(held_out[first : first + _BATCH])

        return HeadFeatures(lambda batch, rng: pooled(frames[batch]), batches)


PROBE = Weights("linear_probe", trained_head(LinearProbeStage))
SELECTIVE = Weights("selective_probe", trained_head(SelectiveProbeStage))
FULL = Weights("full_finetune", trained_head(FullFinetuneStage))
BASELINES = (
    Entry("linear_probe", "a head on the frozen backbone", single_frame(PROBE), PROBE),
    Entry(
        "selective_probe",
        "linear_probe with the class-aware selective loss for unknown labels (its recipe: equal "
        "steps after as many of a first head)",
        single_frame(SELECTIVE),
        SELECTIVE,
    ),
    Entry("full_finetune", "every weight of the backbone trained", single_frame(FULL), FULL),
)
