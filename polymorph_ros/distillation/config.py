"""The one file that says who teaches whom, on what, and for how long."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from polymorph_ros.bundle.manifest import Strict
from polymorph_ros.training.config import FolderBackboneConfig, HubBackboneConfig


class RecordingConfig(Strict):
    """A recording, a video, or a folder with these or with pictures; no labels are needed.

    Paths are relative to the configuration's folder.
    """

    path: Path
    topic: str | None = Field(None, description="image topic of a recording that has several")
    every: int = Field(1, ge=1, description="take each so many-th picture: neighbours look alike")


class OnnxOutputs(Strict):
    """Names of an ONNX file's outputs, for each thing that it can teach."""

    patches: str | None = Field(
        None, description="(n, channels, rows, columns), or tokens (n, N, channels) of a square"
    )
    feature: str | None = Field(
        None, description="(n, channels); none: the mean of the patches, without other tokens"
    )
    logits: str | None = Field(None, description="(n, classes)")

    @model_validator(mode="after")
    def _something(self) -> OnnxOutputs:
        if not any((self.patches, self.feature, self.logits)):
            raise ValueError("name at least one output: patches, feature or logits")
        return self


class OnnxTeacherConfig(Strict):
    """A network in an ONNX file, run by ONNX Runtime; it takes RGB (n, 3, S, S)."""

    onnx: Path
    outputs: OnnxOutputs
    image_size: int | None = Field(None, ge=16, description="none: the one that the file has")
    mean: tuple[float, float, float] = Field((0, 0, 0), description="of pixels in [0, 1]")
    std: tuple[float, float, float] = Field((1, 1, 1), description="of pixels in [0, 1]")


def _kind_of_teacher(value: Any) -> str:
    keys = value if isinstance(value, dict) else type(value).model_fields
    return next((kind for kind in ("onnx", "hub") if kind in keys), "folder")


TeacherConfig = Annotated[
    Annotated[OnnxTeacherConfig, Tag("onnx")]
    | Annotated[HubBackboneConfig, Tag("hub")]
    | Annotated[FolderBackboneConfig, Tag("folder")],
    Discriminator(_kind_of_teacher),
]


class ViTStudentConfig(Strict):
    """A small vision transformer with random weights."""

    hidden_size: int = Field(ge=16)
    layers: int = Field(ge=2)
    heads: int = Field(ge=1)
    patch_size: int = Field(ge=2)
    image_size: int = Field(ge=16)

    @model_validator(mode="after")
    def _divides(self) -> ViTStudentConfig:
        if self.hidden_size % self.heads or self.image_size % self.patch_size:
            raise ValueError("heads divide hidden_size, and patch_size divides image_size")
        return self


class LiteStudentConfig(Strict):
    """An EfficientNet-Lite with random weights, so many times as wide and deep as Lite0."""

    width: float = Field(gt=0, le=4)
    depth: float = Field(1.0, gt=0, le=4)
    image_size: int = Field(ge=32)
    head: int = Field(1280, ge=8, description="length of the feature")


class FolderStudentConfig(Strict):
    """A backbone that transformers saved to a folder: its weights are the start."""

    folder: Path
    image_size: int | None = Field(None, ge=16, description="none: the one it was trained with")


def _kind_of_student(value: Any) -> str:
    keys = value if isinstance(value, dict) else type(value).model_fields
    kinds = {"folder": "folder", "hidden_size": "vit"}
    return next((kind for key, kind in kinds.items() if key in keys), "lite")


StudentConfig = Annotated[
    Annotated[ViTStudentConfig, Tag("vit")]
    | Annotated[LiteStudentConfig, Tag("lite")]
    | Annotated[FolderStudentConfig, Tag("folder")],
    Discriminator(_kind_of_student),
]


class ViewsConfig(Strict):
    """What teacher and student are shown of a picture: always the same pixels."""

    count: int = Field(4, ge=1, description="stored views of each picture, itself among them")
    smallest_crop: float = Field(0.5, gt=0, le=1, description="share of either side")
    mixed: float = Field(0.25, ge=0, le=1, description="share that is blended with another picture")
    cache: Literal["auto", "always", "never"] = Field(
        "auto",
        description="never: new views in every step, each answered by the teacher then; auto: as "
        "the teacher has less to do",
    )


class LossesConfig(Strict):
    """Weights of what is learned; what the teacher does not have counts nothing."""

    patches: float = Field(1.0, ge=0)
    feature: float = Field(1.0, ge=0)
    logits: float = Field(1.0, ge=0)
    temperature: float = Field(2.0, gt=0, description="of the logits")


class DistillConfig(Strict):
    """Everything that decides what a student becomes."""

    seed: int = 0
    threads: int = Field(2, ge=1, description="a different count changes the last digits")
    device: str = Field("auto", description="cpu, cuda, cuda:N, or auto for a GPU if there is one")
    recordings: tuple[RecordingConfig, ...] = Field(min_length=1)
    teacher: TeacherConfig
    student: StudentConfig
    views: ViewsConfig = ViewsConfig.model_validate({})
    losses: LossesConfig = LossesConfig.model_validate({})
    steps: int = Field(2000, ge=1, description="gradient steps; --minutes chooses them itself")
    batch_size: int = Field(32, ge=2)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.02, ge=0)
