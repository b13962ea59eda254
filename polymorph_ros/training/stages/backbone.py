"""Stage: the frozen backbone, from wherever the configuration says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from transformers.utils.logging import disable_progress_bar

from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.bundle.reader import file_sha256
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.training.artifacts import CHECKPOINT_FILE, Artifact, GraphStage
from polymorph_ros.training.backbone_choice import location_of
from polymorph_ros.training.config import PretrainConfig, TrainConfig
from polymorph_ros.training.cost import Rates, StageCost
from polymorph_ros.training.frames import count_frames, load_frames
from polymorph_ros.training.loop import ON_CPU, Schedule, set_up_torch
from polymorph_ros.training.pretrain import pretrain_backbone

_WEIGHTS = "backbone"


@dataclass(frozen=True)
class PretrainStage:
    """A small ViT trained on the training frames."""

    config: PretrainConfig
    preprocessing: Preprocessing
    frames: Artifact
    seed: int
    threads: int
    device: str = field(default="cpu", metadata=ON_CPU)
    name: ClassVar[str] = "backbone"

    def cost(self, rates: Rates) -> StageCost:
        """Gradient steps over the training frames."""
        steps = Schedule.of(self.config, self.seed).steps(count_frames(self.frames))
        seconds = steps * (rates.pretrain_step_s or 0.0)
        return StageCost(steps=steps, size=rates.backbone_bytes, seconds=seconds)

    def write(self, folder: Path) -> None:
        """Train, and save the checkpoint."""
        set_up_torch(self.threads, self.device)
        model = pretrain_backbone(
            self.config,
            load_frames(self.frames.folder),
            Preprocessor(self.preprocessing, self.device),
            seed=self.seed,
            checkpoint=folder / CHECKPOINT_FILE,
        )
        save_weights(model, folder / _WEIGHTS)


@dataclass(frozen=True)
class CopyStage:
    """A copy, in half precision, of a backbone that there is already.

    Attributes:
        source: its content by checksum, or its Hub name and revision.
        location: the folder or Hub name.
    """

    source: str
    revision: str | None
    location: str = field(metadata={"decides": False})
    name: ClassVar[str] = "backbone"

    def cost(self, rates: Rates) -> StageCost:
        """Its bytes; a download is not counted."""
        return StageCost(size=rates.backbone_bytes)

    def write(self, folder: Path) -> None:
        """Read and save."""
        save_weights(load_backbone(self.location, self.revision).model, folder / _WEIGHTS)


def save_weights(model: Any, folder: Path) -> None:
    """Save a transformers model, half precision, without a progress bar of its own."""
    disable_progress_bar()
    model.half().save_pretrained(folder)


def backbone_stage(
    config: TrainConfig, preprocessing: Preprocessing, frames: Artifact, device: str = "cpu"
) -> GraphStage:
    """The stage that makes the backbone which the configuration names.

    Args:
        frames: the training frames, for a backbone that is trained from scratch.
        device: that it is trained on.
    """
    chosen = config.backbone
    if isinstance(chosen, PretrainConfig):
        return PretrainStage(chosen, preprocessing, frames, config.seed, config.threads, device)
    location, revision = location_of(chosen)
    source = content_of_checkpoint(Path(location)) if Path(location).is_dir() else location
    return CopyStage(source, revision, location)


def weights_folder(backbone: Artifact) -> Path:
    """Where in the backbone's artifact its transformers checkpoint is."""
    return backbone.folder / _WEIGHTS


def content_of_checkpoint(folder: Path) -> str:
    """What a checkpoint's folder holds, by checksum.

    Raises:
        PolymorphError: it is none.
    """
    if not (folder / "config.json").is_file():
        raise PolymorphError(
            "a folder with config.json and model.safetensors", "none", where=str(folder),
            remedy="give a folder that transformers' save_pretrained wrote",
        )  # fmt: skip
    files = sorted([folder / "config.json", *folder.glob("*.safetensors*")])
    return json.dumps([[file.name, file_sha256(file)] for file in files])
