"""Early exit: a head after half of the blocks, where confident frames stop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from polymorph_ros.bundle.manifest import HEAD_FILE
from polymorph_ros.data.average_precision import mean_average_precision
from polymorph_ros.evaluation.baselines.entry import Entry, Weights
from polymorph_ros.evaluation.baselines.head_stage import (
    HeadFeatures,
    HeadStage,
    Loss,
    calibrated,
    stage_of,
)
from polymorph_ros.evaluation.baselines.heads import ExitHead, exit_feature, mean_entropy
from polymorph_ros.evaluation.baselines.single_frame import single_frame
from polymorph_ros.evaluation.baselines.train import LOGITS_FILE, Inputs, copy_weights
from polymorph_ros.evaluation.baselines.trained import Form, TrainedBaseline
from polymorph_ros.model.backbone import Backbone, load_backbone
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.runtime.belief import logit
from polymorph_ros.training.frames import count_frames, load_frames
from polymorph_ros.training.loop import Schedule
from polymorph_ros.training.losses import known_bce
from polymorph_ros.training.stages.backbone import weights_folder
from polymorph_ros.training.token_set import TokenFiles

_BATCH = 64
_LOSS = 0.01  # of mean AP on validation frames that the frames which stop may cost
_SHARES = np.arange(20, 0, -1) / 20  # of frames that stop


class _BothHeads(ExitHead):
    """Both heads' logits side by side, (frames, 2 labels), of both features side by side."""

    def forward(self, features: Tensor) -> Tensor:  # type: ignore[override]
        early, last = features.split([self.exit.in_features, self.last.in_features], dim=1)
        return torch.cat([self.exit(early), self.last(last)], dim=1)


@dataclass(frozen=True)
class EarlyExitStage(HeadStage):
    """Two heads on the frozen backbone, from pictures."""

    form: ClassVar[Form] = "early_exit"

    @property
    def name(self) -> str:
        return "baseline-early-exit"

    def head(self, backbone: Backbone, labels: int) -> nn.Module:
        early = 2 * backbone.token_size(later_blocks(backbone))
        return _BothHeads(early, backbone.hidden_size, labels)

    def loss(
        self, backbone: Backbone, features: HeadFeatures, truth: NDArray[np.int8], folder: Path
    ) -> Loss:
        return lambda logits, known: known_bce(logits, known.repeat(1, 2))

    def features(self, backbone: Backbone) -> HeadFeatures:
        preprocessor, blocks = Preprocessor(self.preprocessing, self.device), later_blocks(backbone)

        def rows(files: TokenFiles) -> Iterator[Tensor]:
            images = load_frames(files.frames.folder).images
            for first in range(0, len(images), _BATCH):
                part = np.ascontiguousarray(images[first : first + _BATCH])
                with torch.no_grad():
                    tokens = backbone.trunk(preprocessor.batch(part), blocks)
                    yield torch.cat([exit_feature(tokens), backbone.tail(tokens, blocks)], dim=1)

        train = torch.cat(list(rows(self.train)))
        return HeadFeatures(lambda batch, rng: train[batch], lambda: rows(self.validation))


def later_blocks(backbone: Backbone) -> int:
    """How many blocks come after the earlier head."""
    return backbone.num_blocks - backbone.num_blocks // 2


def _train(inputs: Inputs, target: Path) -> TrainedBaseline:
    features = inputs.features
    artifact = inputs.runner.make(stage_of(EarlyExitStage, inputs))
    folder = copy_weights(artifact.folder, target)
    truth = np.asarray(inputs.validation.truth)
    both = np.split(np.load(artifact.folder / LOGITS_FILE), 2, axis=1)
    early, last = (
        calibrated(folder, logits, truth, prefix)
        for logits, prefix in zip(both, ("exit.", "last."), strict=True)
    )
    entropy = mean_entropy(torch.from_numpy(logit(early.astype(np.float64)))).numpy()
    bound = most_entropy(entropy, early, last, truth)
    tensors = load_file(folder / HEAD_FILE)
    save_file(tensors | {"most_entropy": torch.tensor([bound])}, folder / HEAD_FILE)
    schedule = Schedule.of(inputs.small.adapters, inputs.config.seed)
    steps = schedule.steps(count_frames(features.train.frames))
    form, preprocessing = EarlyExitStage.form, features.preprocessing
    text = inputs.text(folder, form, preprocessing, own=False, steps=steps)
    blocks = later_blocks(load_backbone(weights_folder(features.backbone)))
    scores = np.where(entropy[:, None] <= bound, early, last)
    return inputs.with_thresholds(folder, text.model_copy(update={"tail_blocks": blocks}), scores)


def most_entropy(
    entropy: NDArray[np.float64],
    early: NDArray[np.float32],
    last: NDArray[np.float32],
    truth: NDArray[np.int8],
) -> float:
    """The entropy up to which frames stop: as many as cost little mean AP; 0 where none may.

    Args:
        entropy: of the earlier head's answers, (frames,).
        early, last: scores of both heads, (frames, labels).
        truth: of the same shape.
    """
    enough = mean_average_precision(last, truth) - _LOSS
    for bound in np.quantile(entropy, _SHARES, method="lower"):
        mixed = np.where(entropy[:, None] <= bound, early, last)
        if mean_average_precision(mixed, truth) >= enough:
            return float(bound)
    return 0.0


EARLY_EXIT = Weights("early_exit", _train)
BASELINES = (
    Entry(
        "early_exit",
        "heads on the frozen backbone after half of the blocks and after all; confident frames "
        "stop at the first (equal steps)",
        single_frame(EARLY_EXIT),
        EARLY_EXIT,
    ),
)
