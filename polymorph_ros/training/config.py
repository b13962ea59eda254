"""The one file that says how a bundle is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import yaml
from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from polymorph_ros.bundle.manifest import Strict, TailTokens
from polymorph_ros.errors import PolymorphError


class SyntheticConfig(Strict):
    """Synthetic scenes to train on: sequences of frames, rendered small."""

    train_sequences: int = Field(ge=1)
    validation_sequences: int = Field(ge=1)
    test_sequences: int = Field(ge=1)
    frames: int = Field(ge=2, description="frames of a training sequence")
    hz: float = Field(gt=0, description="frames per second of a training sequence")
    evaluation_frames: int = Field(ge=2, description="frames of a validation or test sequence")
    evaluation_hz: float = Field(gt=0)
    width: int = Field(160, ge=32)
    height: int = Field(120, ge=32)


class SourceConfig(Strict):
    """One recording, folder, video or annotation file, as ``open_dataset`` takes it.

    Paths are relative to the configuration's folder.
    """

    path: Path
    labels: Path | None = Field(None, description="CSV with the labels of a recording or folder")
    topic: str | None = Field(None, description="image topic of a recording that has several")
    tolerance_s: float = Field(0.05, gt=0, description="label to picture, at most")
    fps: float = Field(30.0, gt=0, description="frames per second where the data do not say it")
    separator: str = Field("|", min_length=1, description="between the labels of a CSV's cell")
    absent: tuple[str, ...] = Field(
        (), description="labels of other sources that are in none of its pictures"
    )
    part: Literal["train", "validation", "test"] | None = Field(
        None, description="what it is for; none: its sequences are shared out"
    )


class DataConfig(Strict):
    """Labelled video to train on."""

    sources: tuple[SourceConfig, ...] = Field(min_length=1)
    split: Literal["sequences", "time", "blocks"] = Field(
        "sequences",
        description="by whole sequences where there are enough, each in time, or blocks of each",
    )
    validation: float = Field(0.2, gt=0, lt=1, description="share, where no source is for it")
    test: float = Field(0.2, ge=0, lt=1, description="share of sources without a part")
    fewest_examples: int = Field(
        2, ge=1, description="labels with fewer training frames are left out"
    )

    @model_validator(mode="after")
    def _something_left(self) -> DataConfig:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave nothing to train on")
        return self


class PretrainConfig(Strict):
    """A small ViT, trained from scratch on the training frames, then frozen."""

    hidden_size: int = Field(ge=16)
    layers: int = Field(ge=2)
    heads: int = Field(ge=1)
    patch_size: int = Field(ge=2)
    image_size: int = Field(ge=16)
    epochs: int = Field(ge=1)
    batch_size: int = Field(64, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    patch_loss: float = Field(
        1.0, ge=0, description="weight of naming what each patch shows, where that is known"
    )


class FolderBackboneConfig(Strict):
    """A backbone that transformers saved to a folder."""

    folder: Path
    image_size: int | None = Field(None, ge=16, description="none: the one it was trained with")


class HubBackboneConfig(Strict):
    """A backbone of the Hugging Face Hub; it is downloaded once."""

    hub: str = Field(min_length=1)
    revision: str | None = None
    image_size: int | None = Field(None, ge=16, description="none: the one it was trained with")


def named_backbone(
    name: str, image_size: int | None = None
) -> FolderBackboneConfig | HubBackboneConfig:
    """The backbone of a folder, where there is one of this name, else of the Hub."""
    if Path(name).is_dir():
        return FolderBackboneConfig(folder=Path(name), image_size=image_size)
    return HubBackboneConfig(hub=name, image_size=image_size)


class BundleBackboneConfig(Strict):
    """The backbone of a bundle, with its preprocessing."""

    bundle: Path


def _kind_of_backbone(value: Any) -> str:
    keys = value if isinstance(value, dict) else type(value).model_fields
    return next((kind for kind in ("folder", "hub", "bundle") if kind in keys), "pretrain")


BackboneConfig = Annotated[
    Annotated[PretrainConfig, Tag("pretrain")]
    | Annotated[FolderBackboneConfig, Tag("folder")]
    | Annotated[HubBackboneConfig, Tag("hub")]
    | Annotated[BundleBackboneConfig, Tag("bundle")],
    Discriminator(_kind_of_backbone),
]


_MOST_VIEWS = 15  # changed ones of a frame; more of them show little new


class TokensConfig(Strict):
    """What is cached of the trunk's output."""

    augmentations: int = Field(
        0, ge=0, description="changed views of each training frame, beside the frame itself"
    )
    least_rows: int = Field(
        0, ge=0, description="few frames get more views than that: so many in all, at most 15 each"
    )

    def augmentations_of(self, frames: int) -> int:
        """How many changed views each of so many training frames gets."""
        wanted = -(-self.least_rows // max(1, frames)) - 1
        return max(self.augmentations, min(_MOST_VIEWS, wanted))


class ContextsConfig(Strict):
    """Limits on the contexts."""

    count: int = Field(ge=1)
    labels_per_context: int = Field(ge=1)
    compare: bool = Field(
        True,
        description="train one context of all labels too; the bundle takes it where several have "
        "less mean AP on the validation frames",
    )


class ScoutConfig(Strict):
    """How the scout is trained."""

    weight_decay: ClassVar[float] = 0.05
    hidden: int = Field(128, ge=8)
    queries: int = Field(4, ge=1)
    rank: int = Field(
        0,
        ge=0,
        description="of a LoRA of its own on the last K blocks: often better scores, for one more "
        "tail per frame; 0: none, it reads the trunk's tokens only",
    )
    epochs: int = Field(ge=1)
    least_steps: int = Field(0, ge=0, description="gradient steps, where epochs make fewer")
    batch_size: int = Field(
        128, ge=1, description="without a LoRA; with one it is that of the adapters"
    )
    learning_rate: float = Field(
        1e-3, gt=0, description="without a LoRA; with one it is that of the adapters"
    )


class AdaptersConfig(Strict):
    """How the context adapters are trained (PEFT LoRA on the last K blocks)."""

    weight_decay: ClassVar[float] = 0.01
    tail_blocks: int = Field(2, ge=1)
    rank: int = Field(8, ge=1)
    alpha: int = Field(16, ge=1)
    targets: tuple[str, ...] | None = Field(
        None,
        description="maps with LoRA; none: q, v, fc1 and fc2 of a transformer, fc1 and fc2 of "
        "ConvNeXt blocks, expand, project and head of inverted bottlenecks",
    )
    tail_tokens: TailTokens = Field(
        "all", description="pooled: the tails get patches averaged 2 x 2, for a fourth of the work"
    )
    others: float = Field(
        0.0, ge=0, description="frames of other contexts, per frame of the adapter's own"
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="of the trunk's tokens in training: helps with few examples"
    )
    epochs: int = Field(ge=1)
    least_steps: int = Field(0, ge=0, description="gradient steps, where epochs make fewer")
    batch_size: int = Field(64, ge=1)
    learning_rate: float = Field(3e-3, gt=0)


RECIPE_FILE = "training.json"  # of a bundle: how it was trained, for contexts that are added


class Recipe(Strict):
    """How contexts, scout and adapters are trained, whatever the data."""

    seed: int
    threads: int
    tokens: TokensConfig
    contexts: ContextsConfig
    scout: ScoutConfig
    adapters: AdaptersConfig


class TrainConfig(Strict):
    """Everything that decides what a training run writes."""

    name: str = Field(min_length=1)
    description: str = ""
    seed: int = 0
    threads: int = Field(2, ge=1, description="a different count changes the last digits")
    device: str = Field("auto", description="cpu, cuda, cuda:N, or auto for a GPU if there is one")
    mean_ap_floor: float = Field(0.0, ge=0, le=1, description="the bundle's promise on new scenes")
    notices: tuple[Path, ...] = Field(
        (), description="files that go into the bundle: licences and origins of weights and data"
    )
    synthetic: SyntheticConfig | None = Field(
        None, description="beside data: its scenes show none of the other labels"
    )
    data: DataConfig | None = None
    backbone: BackboneConfig
    tokens: TokensConfig = TokensConfig(augmentations=0, least_rows=0)
    contexts: ContextsConfig
    scout: ScoutConfig
    adapters: AdaptersConfig

    @property
    def recipe(self) -> Recipe:
        """The part that a bundle keeps."""
        return Recipe(**{name: getattr(self, name) for name in Recipe.model_fields})

    @model_validator(mode="after")
    def _some_source(self) -> TrainConfig:
        if self.synthetic is None and self.data is None:
            raise ValueError("synthetic, data or both have to be given")
        return self


def read_config(path: Path | str) -> TrainConfig:
    """Read a training configuration, as ``read_fields`` does.

    Raises:
        PolymorphError: as ``read_fields``, or a notice is missing.
    """
    config = read_fields(path, TrainConfig, "a training configuration")
    for notice in config.notices:
        if not notice.is_file():
            raise PolymorphError("a file of notices", "none", where=str(notice))
    return config


_Model = TypeVar("_Model", bound=BaseModel)


def read_fields(path: Path | str, model: type[_Model], kind: str) -> _Model:
    """Read a configuration from YAML; its relative paths count from the folder that it is in.

    Args:
        model: what it becomes.
        kind: what is expected, in words.

    Raises:
        PolymorphError: the file is missing, is not YAML, or a field is unknown or out of range.
    """
    file = Path(path)
    if not file.is_file():
        raise PolymorphError(kind, "no such file", where=str(file))
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        checked: _Model = _with_paths_from(file.parent, model.model_validate(document))
        return checked
    except yaml.YAMLError as error:
        first = str(error).replace("\n", " ")
        raise PolymorphError("YAML", f"text that is not: {first}", where=str(file)) from None
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise PolymorphError(
            "valid fields", f"{error.error_count()} fault(s), first {place}: {fault['msg']}",
            where=str(file),
        ) from None  # fmt: skip


def _with_paths_from(folder: Path, part: Any) -> Any:
    """The same configuration with every path in it counted from a folder."""
    if isinstance(part, Path):
        return folder / part.expanduser()
    if isinstance(part, tuple):
        return tuple(_with_paths_from(folder, item) for item in part)
    if isinstance(part, BaseModel):
        inner = {name: _with_paths_from(folder, value) for name, value in part}
        return part.model_copy(update=inner)
    return part
