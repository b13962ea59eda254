"""Stage: the frozen backbone, from wherever the configuration says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from transformers import AutoConfig
from transformers.image_processing_base import ImageProcessingMixin
from transformers.utils.logging import disable_progress_bar

from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.bundle.reader import file_sha256, read_bundle
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.families import family_of
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.training.artifacts import CHECKPOINT_FILE, Artifact, GraphStage
from polymorph_ros.training.config import (
    BackboneConfig,
    BundleBackboneConfig,
    FolderBackboneConfig,
    HubBackboneConfig,
    PretrainConfig,
    TrainConfig,
)
from polymorph_ros.training.cost import Rates, StageCost
from polymorph_ros.training.frames import count_frames, load_frames
from polymorph_ros.training.loop import ON_CPU, Schedule, set_up_torch
from polymorph_ros.training.pretrain import pretrain_backbone

_WEIGHTS = "backbone"
_FROM_SCRATCH = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}


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
    location, revision = _location(chosen)
    source = content_of_checkpoint(Path(location)) if Path(location).is_dir() else location
    return CopyStage(source, revision, location)


def backbone_location(
    config: FolderBackboneConfig | HubBackboneConfig | BundleBackboneConfig,
) -> Path:
    """The folder of a backbone, or its Hub name as if it were one."""
    return Path(_location(config)[0])


def _location(
    config: FolderBackboneConfig | HubBackboneConfig | BundleBackboneConfig,
) -> tuple[str, str | None]:
    """A folder, or a Hub name with its revision."""
    if isinstance(config, HubBackboneConfig):
        return config.hub, config.revision
    if isinstance(config, FolderBackboneConfig):
        return str(config.folder), None
    bundle = read_bundle(config.bundle)
    return bundle.backbone_location, bundle.manifest.backbone.revision


def weights_folder(backbone: Artifact) -> Path:
    """Where in the backbone's artifact its transformers checkpoint is."""
    return backbone.folder / _WEIGHTS


def preprocessing_of(config: BackboneConfig, *, any_family: bool = False) -> Preprocessing:
    """How pictures become the backbone's input.

    Args:
        any_family: whether a model that says all of this itself may be of any family.

    Raises:
        PolymorphError: there is no such backbone, or it does not say its input size.
    """
    if isinstance(config, PretrainConfig):
        return Preprocessing(size=config.image_size, **_FROM_SCRATCH)
    if isinstance(config, BundleBackboneConfig):
        return read_bundle(config.bundle).manifest.preprocessing
    if isinstance(config, FolderBackboneConfig):
        return _preprocessing_beside(str(config.folder), None, config.image_size, any_family)
    return _preprocessing_beside(config.hub, config.revision, config.image_size, any_family)


def _preprocessing_beside(
    location: str, revision: str | None, size: int | None, any_family: bool
) -> Preprocessing:
    """What a checkpoint says of its own input; its family's statistics where it says nothing."""
    try:
        model = AutoConfig.from_pretrained(location, revision=revision)
    except (OSError, ValueError) as error:
        raise PolymorphError(
            "a transformers backbone", str(error).splitlines()[0], where=f"backbone {location}"
        ) from error
    inner = getattr(model, "vision_config", model)
    trained = getattr(inner, "image_size", None)
    side = size or (trained if isinstance(trained, int) else None)
    if side is None:
        raise PolymorphError(
            "an input size", "none in its config.json", where=f"backbone {location}",
            remedy="set backbone.image_size",
        )  # fmt: skip
    try:
        images, _ = ImageProcessingMixin.get_image_processor_dict(location, revision=revision)
    except (OSError, ValueError):
        images = {}
    mean, std = images.get("image_mean"), images.get("image_std")
    if not (any_family and mean and std):
        family = family_of(inner, f"backbone {location}")
        mean, std = mean or family.mean, std or family.std
    return Preprocessing(size=side, mean=tuple(mean), std=tuple(std))


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
