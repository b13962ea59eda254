"""What all trained baselines share: the bundle's own frames and configuration, and thresholds.

All get the bundle's training frames and take as many gradient steps of the same batch size as all
of its adapters together (up to half an epoch). Learning rate and decay are the adapters' own
(a tenth of the rate for the whole backbone and for heads with attention); nothing is tuned for any
of them, nor for Polymorph.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.bundle.reader import Bundle, file_sha256
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.baselines.trained import (
    OWN_BACKBONE,
    BaselineText,
    Form,
    TrainedBaseline,
    write_trained,
)
from polymorph_ros.training.artifacts import SUMS_FILE, Log, sole_use
from polymorph_ros.training.config import BackboneConfig, TrainConfig
from polymorph_ros.training.frames import (
    LabelledFrames,
    load_frames,
    vocabulary_of,
)
from polymorph_ros.training.graph import Frames, TrainingGraph, one_lora
from polymorph_ros.training.loop import set_up_torch
from polymorph_ros.training.pipeline import Runner
from polymorph_ros.training.stages.backbone import weights_folder
from polymorph_ros.training.stages.thresholds import on_alone
from polymorph_ros.training.token_set import Features

if TYPE_CHECKING:
    from polymorph_ros.evaluation.baselines.entry import Weights

SIGLIP2 = "google/siglip2-base-patch16-224"
LOGITS_FILE = "logits.npy"  # in an artifact: of validation frames, to calibrate by


@dataclass(frozen=True)
class Inputs:
    """What all baselines are trained from.

    Attributes:
        config: the bundle's own.
        steps: of all of the bundle's adapters together.
        small, large: configurations of a LoRA of an adapter's rank, and of all adapters' size.
        frames: the bundle's own.
        runner: makes the artifacts of stages.
        larger: the next larger backbone; None where none was named.
        siglip2: folder or Hub name of a SigLIP 2 with both towers.
    """

    config: TrainConfig
    bundle: Bundle
    frames: Frames
    features: Features
    steps: int
    small: TrainConfig
    large: TrainConfig
    runner: Runner
    larger: BackboneConfig | None
    siglip2: str

    @property
    def validation(self) -> LabelledFrames:
        """The frames on which everything is calibrated."""
        return load_frames(self.features.validation.frames.folder)

    def text(
        self,
        folder: Path,
        form: Form,
        preprocessing: Preprocessing,
        *,
        own: bool,
        steps: int,
    ) -> BaselineText:
        """The text of a baseline whose weights lie in a folder, before thresholds are chosen."""
        labels = tuple(label.name for label in self.bundle.manifest.labels)
        return BaselineText(
            form=form,
            backbone="own" if own else "bundle",
            preprocessing=preprocessing,
            tail_blocks=self.config.adapters.tail_blocks,
            labels=labels,
            on=(0.5,) * len(labels),
            steps=steps,
            parameters=_trained_parameters(folder, form),
        )

    def with_thresholds(
        self, folder: Path, text: BaselineText, scores: NDArray[np.float32]
    ) -> TrainedBaseline:
        """The on-thresholds with the best F1 of single validation frames: nothing holds labels on.

        Args:
            scores: of the validation frames, (frames, labels).
        """
        on = on_alone(scores, np.asarray(self.validation.truth))
        return write_trained(folder, text.model_copy(update={"on": tuple(on.tolist())}))


def train_baselines(
    weights: Sequence[Weights],
    config: TrainConfig,
    bundle: Bundle,
    out: Path,
    work: Path,
    log: Log,
    *,
    larger: BackboneConfig | None = None,
    siglip2: str = SIGLIP2,
) -> None:
    """Train baselines into folders below ``out``; what an earlier run trained stays.

    Args:
        weights: which.
        config: the bundle's own.
        bundle: whose vocabulary, contexts and backbone they share.
        work: where stages keep artifacts; with the bundle's own, frames and tokens are found.
        log: takes a line on what was done.
        larger: the next larger backbone. Without it, a backbone that was trained from
            scratch is twice as wide, and for any other this baseline is left out.
        siglip2: folder, or Hub name in the local cache, of a SigLIP 2 with both towers; where it
            is not there, that baseline is left out.

    Raises:
        PolymorphError: the configuration is not this bundle's.
    """
    with sole_use(work):
        inputs = _inputs(config, bundle, Runner(work, log), larger, siglip2)
        log(f"{inputs.steps} gradient steps for each baseline, as many as all adapters together")
        for one in weights:
            baseline = one.train(inputs, out / one.name)
            if baseline is not None:
                log(f"{baseline.folder}: {baseline.text.parameters} trained parameters")


def copy_weights(artifact: Path, target: Path) -> Path:
    """A stage's weights in the baseline's folder; an older baseline goes."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(artifact, target, ignore=shutil.ignore_patterns(SUMS_FILE, LOGITS_FILE))
    return target


def _inputs(
    config: TrainConfig,
    bundle: Bundle,
    runner: Runner,
    larger: BackboneConfig | None,
    siglip2: str,
) -> Inputs:
    graph = TrainingGraph(config)
    set_up_torch(config.threads, graph.device)
    frames = graph.frames(runner)
    features = graph.features(frames, runner)
    _check_same(bundle, features)
    steps, contexts = graph.lora_steps(features), len(graph.adapters(features))
    small, large = (one_lora(config, frames, steps, factor) for factor in (1, contexts))
    return Inputs(config, bundle, frames, features, steps, small, large, runner, larger, siglip2)


def _check_same(bundle: Bundle, features: Features) -> None:
    labels = tuple(label.name for label in bundle.manifest.labels)
    same = vocabulary_of(features.train.frames) == labels
    if same and bundle.manifest.backbone.source == "bundle":
        weights = "model.safetensors"
        mine = file_sha256(weights_folder(features.backbone) / weights)
        same = mine == file_sha256(Path(bundle.backbone_location) / weights)
    if not same:
        raise PolymorphError(
            "the configuration that this bundle was trained from",
            "one that leads to another vocabulary or backbone",
            where=str(bundle.path),
        )


def _trained_parameters(folder: Path, form: Form) -> int:
    """Numbers in the baseline's own weights; those of a frozen backbone are not among them."""
    if form == "zero_shot":
        return 0
    files = [
        file
        for file in folder.rglob("*.safetensors")
        if form == "plain" or file.parent.name != OWN_BACKBONE
    ]
    return sum(int(tensor.size) for file in files for tensor in load_file(file).values())
