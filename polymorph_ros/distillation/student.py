"""The small network that learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.distillation.answers import PATCHES, on_grid
from polymorph_ros.distillation.config import (
    FolderStudentConfig,
    LiteStudentConfig,
    StudentConfig,
    ViTStudentConfig,
)
from polymorph_ros.distillation.transformers_teacher import any_size, read_answers
from polymorph_ros.files import write_json
from polymorph_ros.model.backbone import load_backbone, quiet_transformers
from polymorph_ros.model.efficientnet_lite import EfficientNetLiteConfig, EfficientNetLiteModel
from polymorph_ros.model.families import family_of
from polymorph_ros.training.backbone_choice import preprocessing_of
from polymorph_ros.training.config import FolderBackboneConfig, PretrainConfig
from polymorph_ros.training.pretrain import small_vit


class Student(nn.Module):
    """A backbone in training: pixels to patches and feature, as the product reads them.

    Attributes:
        model: of transformers.
        preprocessing: how pictures become its input.
        grid: patches or positions in a row.
        sizes: length of a patch's token, and of the feature.
    """

    def __init__(self, model: Any, preprocessing: Preprocessing) -> None:
        super().__init__()
        # Channels last: a third faster for convolutions on a CPU, and what a GPU wants too.
        self.model = model.requires_grad_(True).to(memory_format=torch.channels_last)
        self.preprocessing = preprocessing
        self._arguments = any_size(model)
        side = preprocessing.size
        with torch.inference_mode():
            found = self.eval().read(torch.zeros(1, 3, side, side))
        self.grid: int = found[PATCHES].shape[2]
        self.sizes = {kind: values.shape[1] for kind, values in found.items()}

    def read(self, pixels: Tensor) -> dict[str, Tensor]:
        """Patches (B, D, rows, columns) and feature (B, F), with autograd."""
        return read_answers(self.model(pixel_values=pixels, **self._arguments), "student")

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """Patches (B, grid * grid, D) and feature (B, F), with autograd."""
        found = self.read(pixels)
        return {**found, PATCHES: on_grid(found[PATCHES], self.grid)}

    def save(self, folder: Path) -> None:
        """Write what ``load_backbone`` takes, with the statistics of its pixels."""
        with quiet_transformers():
            self.model.to(memory_format=torch.contiguous_format).save_pretrained(folder)
        size = dict.fromkeys(("height", "width"), self.preprocessing.size)
        about = {
            "image_mean": self.preprocessing.mean,
            "image_std": self.preprocessing.std,
            "size": size,
            "crop_size": size,
        }
        write_json(folder / "preprocessor_config.json", about)


def new_student(config: StudentConfig, seed: int) -> Student:
    """A student with the weights that it starts from.

    Raises:
        PolymorphError: the folder that it starts from holds no backbone.
    """
    torch.manual_seed(seed)
    if isinstance(config, FolderStudentConfig):
        start = FolderBackboneConfig(folder=config.folder, image_size=config.image_size)
        return Student(load_backbone(config.folder).model, preprocessing_of(start))
    if isinstance(config, ViTStudentConfig):
        model: Any = small_vit(PretrainConfig(**config.model_dump(), epochs=1))
    else:
        assert isinstance(config, LiteStudentConfig)
        measures = config.model_dump(include={"width", "depth", "image_size", "head"})
        model = EfficientNetLiteModel(EfficientNetLiteConfig.scaled(**measures))
    family = family_of(model.config)
    size = config.image_size
    return Student(model, Preprocessing(size=size, mean=family.mean, std=family.std))
