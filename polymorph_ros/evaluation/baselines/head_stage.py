"""Train a head on a backbone, frozen or not, and calibrate it: baselines without LoRA share it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from polymorph_ros.arrays import Indices
from polymorph_ros.bundle.manifest import HEAD_FILE, Preprocessing
from polymorph_ros.evaluation.baselines.heads import PooledHead
from polymorph_ros.evaluation.baselines.train import LOGITS_FILE, Inputs, copy_weights
from polymorph_ros.evaluation.baselines.trained import OWN_BACKBONE, Form, TrainedBaseline
from polymorph_ros.model.backbone import Backbone, load_backbone
from polymorph_ros.runtime.belief import sigmoid
from polymorph_ros.training.artifacts import CHECKPOINT_FILE, Artifact
from polymorph_ros.training.calibration import fold_into_head, platt
from polymorph_ros.training.config import AdaptersConfig
from polymorph_ros.training.frames import count_frames, load_frames
from polymorph_ros.training.loop import ON_CPU, Schedule, fit, set_up_torch
from polymorph_ros.training.losses import known_bce
from polymorph_ros.training.stages.backbone import save_weights, weights_folder
from polymorph_ros.training.token_set import TokenFiles

Loss = Callable[[Tensor, Tensor], Tensor]
"""Of logits and truth, each (frames, labels)."""


@dataclass(frozen=True)
class HeadFeatures:
    """What a head reads, a row for each frame.

    Attributes:
        of_batch: of some training frames, with autograd where the backbone is trained.
        held_out: of all validation frames, batch by batch.
    """

    of_batch: Callable[[Indices, np.random.Generator], Tensor]
    held_out: Callable[[], Iterator[Tensor]]


@dataclass(frozen=True)
class HeadStage(ABC):
    """Trains a head, and leaves ``LOGITS_FILE`` beside it: raw logits of all validation frames."""

    config: AdaptersConfig
    backbone: Artifact
    preprocessing: Preprocessing
    train: TokenFiles
    validation: TokenFiles
    contexts: Artifact
    seed: int
    threads: int
    device: str = field(default="cpu", metadata=ON_CPU)

    form: ClassVar[Form] = "plain"
    trains_backbone: ClassVar[bool] = False
    rate: ClassVar[float] = 1.0  # of the adapters' learning rate

    @property
    @abstractmethod
    def name(self) -> str:
        """What the artifact's folder begins with."""

    @abstractmethod
    def features(self, backbone: Backbone) -> HeadFeatures:
        """What the head reads."""

    def head(self, backbone: Backbone, labels: int) -> nn.Module:
        """A new head."""
        return PooledHead(backbone.hidden_size, labels)

    def loss(
        self, backbone: Backbone, features: HeadFeatures, truth: NDArray[np.int8], folder: Path
    ) -> Loss:
        """What is minimised over frames whose truth is (frames, labels)."""
        return known_bce

    def write(self, folder: Path) -> None:
        """Train the head, and the backbone where it is trained too."""
        set_up_torch(self.threads, self.device)
        truth = np.asarray(load_frames(self.train.frames.folder).truth)
        backbone = load_backbone(weights_folder(self.backbone)).to(self.device)
        backbone.model.requires_grad_(self.trains_backbone)
        features = self.features(backbone)
        loss = self.loss(backbone, features, truth, folder)
        torch.manual_seed(self.seed)
        head = self.head(backbone, truth.shape[1]).to(self.device)
        parameters = [*backbone.model.parameters(), *head.parameters()]
        self.fit(head, parameters, features, truth, loss, folder / CHECKPOINT_FILE)
        with torch.inference_mode():
            logits = [head.eval()(batch).cpu().numpy() for batch in features.held_out()]
        np.save(folder / LOGITS_FILE, np.concatenate(logits))
        tensors = {name: tensor.contiguous() for name, tensor in head.state_dict().items()}
        save_file(tensors, folder / HEAD_FILE)
        if self.trains_backbone:
            save_weights(backbone.model, folder / OWN_BACKBONE)

    def fit(
        self,
        head: nn.Module,
        parameters: list[nn.Parameter],
        features: HeadFeatures,
        truth: NDArray[np.int8],
        loss: Loss,
        checkpoint: Path,
    ) -> None:
        """Train a head for the adapters' steps."""
        schedule = Schedule.of(self.config, self.seed)

        def loss_of(batch: Indices, rng: np.random.Generator) -> Tensor:
            known = torch.from_numpy(truth[batch]).to(self.device)
            return loss(head(features.of_batch(batch, rng)), known)

        fit(
            *(self.name, parameters, loss_of, np.arange(len(truth))),
            replace(schedule, learning_rate=self.rate * schedule.learning_rate),
            checkpoint,
        )


def trained_head(kind: type[HeadStage]) -> Callable[[Inputs, Path], TrainedBaseline]:
    """What trains a head of a kind into a folder, calibrates it and chooses thresholds."""

    def train(inputs: Inputs, target: Path) -> TrainedBaseline:
        features, adapters = inputs.features, inputs.small.adapters
        artifact = inputs.runner.make(stage_of(kind, inputs))
        folder = copy_weights(artifact.folder, target)
        schedule = Schedule.of(adapters, inputs.config.seed)
        steps = schedule.steps(count_frames(features.train.frames))
        own = kind.trains_backbone
        text = inputs.text(folder, kind.form, features.preprocessing, own=own, steps=steps)
        logits = np.load(artifact.folder / LOGITS_FILE)
        scores = calibrated(folder, logits, np.asarray(inputs.validation.truth))
        return inputs.with_thresholds(folder, text, scores)

    return train


def stage_of(kind: type[HeadStage], inputs: Inputs) -> HeadStage:
    """The stage of a kind for the bundle's own frames, backbone and steps."""
    features = inputs.features
    return kind(
        *(inputs.small.adapters, features.backbone, features.preprocessing),
        *(features.train, features.validation, features.contexts),
        *(inputs.config.seed, inputs.config.threads, features.device),
    )


def calibrated(
    folder: Path, logits: NDArray[np.float32], truth: NDArray[np.int8], prefix: str = ""
) -> NDArray[np.float32]:
    """Calibrate a head on validation frames, in its file too; its scores (frames, labels).

    Args:
        prefix: of the head's tensors.
    """
    scale, shift = platt(logits, truth)
    fold_into_head(folder, scale, shift, prefix)
    return sigmoid((logits * scale + shift).astype(np.float64)).astype(np.float32)
