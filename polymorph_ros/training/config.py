"""The one file that says how a bundle is trained."""

from __future__ import annotations

import hashlib
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from polymorph_ros.errors import PolymorphError


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ScenesConfig(_Strict):
    """Procedural scenes to train on: sequences of frames, rendered small."""

    train_sequences: int = Field(ge=1)
    validation_sequences: int = Field(ge=1)
    test_sequences: int = Field(ge=1)
    frames: int = Field(ge=2, description="frames of a training sequence")
    hz: float = Field(gt=0, description="frames per second of a training sequence")
    evaluation_frames: int = Field(ge=2, description="frames of a validation or test sequence")
    evaluation_hz: float = Field(gt=0)
    width: int = Field(160, ge=32)
    height: int = Field(120, ge=32)


class BackboneConfig(_Strict):
    """A small ViT, trained from scratch on the scenes, then frozen."""

    hidden_size: int = Field(ge=16)
    layers: int = Field(ge=2)
    heads: int = Field(ge=1)
    patch_size: int = Field(ge=2)
    image_size: int = Field(ge=16)
    epochs: int = Field(ge=1)
    batch_size: int = Field(64, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    patch_loss: float = Field(1.0, ge=0, description="weight of naming what each patch shows")


class ContextsConfig(_Strict):
    """Limits on the contexts."""

    count: int = Field(ge=1)
    labels_per_context: int = Field(ge=1)


class ScoutConfig(_Strict):
    """How the scout is trained."""

    hidden: int = Field(128, ge=8)
    queries: int = Field(4, ge=1)
    epochs: int = Field(ge=1)
    batch_size: int = Field(128, ge=1)
    learning_rate: float = Field(1e-3, gt=0)


class AdaptersConfig(_Strict):
    """How the context adapters are trained (PEFT LoRA on the last K blocks)."""

    tail_blocks: int = Field(2, ge=1)
    rank: int = Field(8, ge=1)
    alpha: int = Field(16, ge=1)
    targets: tuple[str, ...] = ("q", "v", "fc1", "fc2")
    others: float = Field(
        0.2, ge=0, description="frames of other contexts, per frame of the adapter's own"
    )
    epochs: int = Field(ge=1)
    batch_size: int = Field(64, ge=1)
    learning_rate: float = Field(1e-3, gt=0)


class TrainConfig(_Strict):
    """Everything that decides what a training run writes."""

    name: str = Field(min_length=1)
    description: str = ""
    seed: int = 0
    threads: int = Field(2, ge=1, description="a different count changes the last digits")
    mean_ap_floor: float = Field(0.0, ge=0, le=1, description="the bundle's promise on new scenes")
    scenes: ScenesConfig
    backbone: BackboneConfig
    contexts: ContextsConfig
    scout: ScoutConfig
    adapters: AdaptersConfig

    def key(self, *parts: str) -> str:
        """A short hash of the seed, the threads and the named parts: names a cache."""
        text = [f"seed={self.seed} threads={self.threads}"]
        text += [f"{part}={getattr(self, part).model_dump_json()}" for part in parts]
        return hashlib.sha256("\n".join(text).encode()).hexdigest()[:12]


def read_config(path: Path | str) -> TrainConfig:
    """Read a training configuration.

    Raises:
        PolymorphError: the file is missing, is not YAML, or a field is unknown or out of range.
    """
    file = Path(path)
    if not file.is_file():
        raise PolymorphError("a training configuration", "no such file", where=str(file))
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        return TrainConfig.model_validate(document)
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
