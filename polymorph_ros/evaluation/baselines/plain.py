"""Baselines without LoRA: a head on the frozen backbone, or on one that is trained with it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from polymorph_ros.arrays import Indices
from polymorph_ros.bundle.manifest import HEAD_FILE, Preprocessing
from polymorph_ros.evaluation.baselines.entry import Entry, Weights
from polymorph_ros.evaluation.baselines.single_frame import single_frame
from polymorph_ros.evaluation.baselines.train import LOGITS_FILE, Inputs, copy_weights
from polymorph_ros.evaluation.baselines.trained import OWN_BACKBONE, TrainedBaseline
from polymorph_ros.model.backbone import Backbone, load_backbone
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.runtime.belief import sigmoid
from polymorph_ros.training.artifacts import CHECKPOINT_FILE, Artifact
from polymorph_ros.training.calibration import fold_into_head, platt
from polymorph_ros.training.config import AdaptersConfig
from polymorph_ros.training.frames import count_frames, load_frames
from polymorph_ros.training.loop import ON_CPU, Schedule, fit, set_up_torch
from polymorph_ros.training.losses import known_bce
from polymorph_ros.training.stages.backbone import save_weights, weights_folder
from polymorph_ros.training.token_set import TokenFiles

_BATCH = 256


@dataclass(frozen=True)
class _Features:
    """Features of frames, (frames, D) each.

    Attributes:
        of_batch: those of some training frames, with autograd where the backbone is trained.
        held_out: those of all validation frames, batch by batch.
    """

    of_batch: Callable[[Indices], Tensor]
    held_out: Callable[[], Iterator[Tensor]]


@dataclass(frozen=True)
class PlainStage(ABC):
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

    trains_backbone = False
    rate = 1.0  # of the adapters' learning rate

    @property
    @abstractmethod
    def name(self) -> str:
        """What the artifact's folder begins with."""

    @abstractmethod
    def features(self, backbone: Backbone) -> _Features:
        """The backbone's own features."""

    def write(self, folder: Path) -> None:
        """Train the head, and the backbone where it is trained too."""
        set_up_torch(self.threads, self.device)
        truth = np.asarray(load_frames(self.train.frames.folder).truth)
        backbone = load_backbone(weights_folder(self.backbone)).to(self.device)
        backbone.model.requires_grad_(self.trains_backbone)
        features = self.features(backbone)
        torch.manual_seed(self.seed)
        head = nn.Linear(backbone.hidden_size, truth.shape[1]).to(self.device)
        schedule = Schedule.of(self.config, self.seed)

        def loss_of(batch: Indices, rng: np.random.Generator) -> Tensor:
            known = torch.from_numpy(truth[batch]).to(self.device)
            return known_bce(head(features.of_batch(batch)), known)

        fit(
            self.name,
            [*backbone.model.parameters(), *head.parameters()],
            loss_of,
            np.arange(len(truth)),
            replace(schedule, learning_rate=self.rate * schedule.learning_rate),
            folder / CHECKPOINT_FILE,
        )
        with torch.inference_mode():
            logits = [head(batch).cpu().numpy() for batch in features.held_out()]
        np.save(folder / LOGITS_FILE, np.concatenate(logits))
        tensors = {name: tensor.contiguous() for name, tensor in head.state_dict().items()}
        save_file(tensors, folder / HEAD_FILE)
        if self.trains_backbone:
            save_weights(backbone.model, folder / OWN_BACKBONE)


@dataclass(frozen=True)
class LinearProbeStage(PlainStage):
    """A head on the frozen backbone's feature, from cached trunk tokens."""

    @property
    def name(self) -> str:
        return "baseline-linear-probe"

    def features(self, backbone: Backbone) -> _Features:
        def pooled(files: TokenFiles) -> Tensor:
            data, blocks = files.load(self.contexts, self.device), self.config.tail_blocks
            with torch.no_grad():
                return torch.cat([backbone.tail(tokens, blocks) for tokens in data.batches()])

        train = pooled(self.train)
        return _Features(lambda batch: train[batch], lambda: iter([pooled(self.validation)]))


@dataclass(frozen=True)
class FullFinetuneStage(PlainStage):
    """Every weight of the backbone and a head, from pictures."""

    trains_backbone = True
    rate = 0.1  # what has learned something already wants smaller steps than a new LoRA

    @property
    def name(self) -> str:
        return "baseline-full-finetune"

    def features(self, backbone: Backbone) -> _Features:
        frames = load_frames(self.train.frames.folder).images
        held_out = load_frames(self.validation.frames.folder).images
        preprocessor = Preprocessor(self.preprocessing, self.device)

        def pooled(images: np.ndarray) -> Tensor:
            pixels = preprocessor.batch(np.ascontiguousarray(images))
            return backbone.trainable_feature(pixels)

        def batches() -> Iterator[Tensor]:
            for first in range(0, len(held_out), _BATCH):
                yield pooled(held_out[first : first + _BATCH])

        return _Features(lambda batch: pooled(frames[batch]), batches)


def _trained(kind: type[PlainStage]) -> Callable[[Inputs, Path], TrainedBaseline]:
    def train(inputs: Inputs, target: Path) -> TrainedBaseline:
        features, adapters = inputs.features, inputs.small.adapters
        stage = kind(
            *(adapters, features.backbone, features.preprocessing),
            *(features.train, features.validation, features.contexts),
            *(inputs.config.seed, inputs.config.threads, features.device),
        )
        artifact = inputs.runner.make(stage)
        folder = copy_weights(artifact.folder, target)
        schedule = Schedule.of(adapters, inputs.config.seed)
        steps = schedule.steps(count_frames(features.train.frames))
        own = kind.trains_backbone
        text = inputs.text(folder, "plain", features.preprocessing, own=own, steps=steps)
        logits = np.load(artifact.folder / LOGITS_FILE)
        scale, shift = platt(logits, np.asarray(inputs.validation.truth))
        fold_into_head(folder, scale, shift)
        scores = sigmoid((logits * scale + shift).astype(np.float64)).astype(np.float32)
        return inputs.with_thresholds(folder, text, scores)

    return train


PROBE = Weights("linear_probe", _trained(LinearProbeStage))
FULL = Weights("full_finetune", _trained(FullFinetuneStage))
BASELINES = (
    Entry("linear_probe", "a head on the frozen backbone", single_frame(PROBE), PROBE),
    Entry("full_finetune", "every weight of the backbone trained", single_frame(FULL), FULL),
)
