"""Baselines whose head reads all tokens of the frozen backbone's last block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from polymorph_ros.arrays import Indices
from polymorph_ros.evaluation.baselines.entry import Entry, Weights
from polymorph_ros.evaluation.baselines.head_stage import (
    HeadFeatures,
    HeadStage,
    Loss,
    trained_head,
)
from polymorph_ros.evaluation.baselines.heads import AttentiveHead, MLDecoderHead
from polymorph_ros.evaluation.baselines.losses import asymmetric
from polymorph_ros.evaluation.baselines.single_frame import single_frame
from polymorph_ros.evaluation.baselines.trained import Form
from polymorph_ros.model.backbone import Backbone


@dataclass(frozen=True)
class AttentiveProbeStage(HeadStage):
    """One learned query, from cached trunk tokens in the views that adapters learn from too."""

    form: ClassVar[Form] = "attentive"
    rate = 0.1  # attention learns badly with the large steps of a LoRA

    @property
    def name(self) -> str:
        return "baseline-attentive-probe"

    def head(self, backbone: Backbone, labels: int) -> nn.Module:
        return AttentiveHead(backbone.hidden_size, labels)

    def features(self, backbone: Backbone) -> HeadFeatures:
        train = self.train.load(self.contexts, self.device)
        validation = self.validation.load(self.contexts, self.device)

        @torch.no_grad()
        def last(tokens: Tensor) -> Tensor:
            return backbone.last_tokens(tokens, self.config.tail_blocks)

        def of_batch(batch: Indices, rng: np.random.Generator) -> Tensor:
            return last(train.varied(batch, rng))

        def held_out() -> Iterator[Tensor]:
            return map(last, validation.batches())

        return HeadFeatures(of_batch, held_out)


@dataclass(frozen=True)
class MLDecoderStage(AttentiveProbeStage):
    """A query for each label, and the asymmetric loss."""

    form: ClassVar[Form] = "ml_decoder"

    @property
    def name(self) -> str:
        return "baseline-ml-decoder"

    def head(self, backbone: Backbone, labels: int) -> nn.Module:
        return MLDecoderHead(backbone.hidden_size, labels)

    def loss(
        self, backbone: Backbone, features: HeadFeatures, truth: NDArray[np.int8], folder: Path
    ) -> Loss:
        return asymmetric


ATTENTIVE = Weights("attentive_probe", trained_head(AttentiveProbeStage))
ML_DECODER = Weights("ml_decoder", trained_head(MLDecoderStage))
BASELINES = (
    Entry(
        "attentive_probe",
        "one learned query over the frozen backbone's last tokens (equal steps)",
        single_frame(ATTENTIVE),
        ATTENTIVE,
    ),
    Entry(
        "ml_decoder",
        "ML-Decoder's head and asymmetric loss on the frozen backbone (equal steps)",
        single_frame(ML_DECODER),
        ML_DECODER,
    ),
)
