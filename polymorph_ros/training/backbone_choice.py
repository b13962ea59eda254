"""What the configuration's backbone is: its place, its shape, and the pictures that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import AutoConfig
from transformers.image_processing_base import ImageProcessingMixin

from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.bundle.reader import read_bundle
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.families import family_of
from polymorph_ros.training.config import (
    BackboneConfig,
    BundleBackboneConfig,
    FolderBackboneConfig,
    HubBackboneConfig,
    PretrainConfig,
    TrainConfig,
)
from polymorph_ros.training.pretrain import vit_config

_FROM_SCRATCH = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}

Elsewhere = FolderBackboneConfig | HubBackboneConfig | BundleBackboneConfig
"""A backbone that there is already."""


def location_of(config: Elsewhere) -> tuple[str, str | None]:
    """Its folder and None, or its Hub name and revision."""
    if isinstance(config, HubBackboneConfig):
        return config.hub, config.revision
    if isinstance(config, FolderBackboneConfig):
        return str(config.folder), None
    bundle = read_bundle(config.bundle)
    return bundle.backbone_location, bundle.manifest.backbone.revision


def model_config_of(config: BackboneConfig) -> Any:
    """The transformers configuration of the network that sees.

    Raises:
        PolymorphError: there is no such backbone.
    """
    if isinstance(config, PretrainConfig):
        return vit_config(config)
    location, revision = location_of(config)
    try:
        model = AutoConfig.from_pretrained(location, revision=revision)
    except (OSError, ValueError) as error:
        raise PolymorphError(
            "a transformers backbone", str(error).splitlines()[0], where=f"backbone {location}"
        ) from error
    return getattr(model, "vision_config", model)


def check_targets(config: TrainConfig) -> None:
    """See that the backbone has the maps that shall have LoRA.

    Raises:
        PolymorphError: one is none of its family's; names those that are.
    """
    if config.adapters.targets is not None:
        family = family_of(model_config_of(config.backbone))
        family.check_targets(config.adapters.targets, "adapters.targets")


def preprocessing_of(config: BackboneConfig, *, any_family: bool = False) -> Preprocessing:
    """How pictures become the backbone's input.

    Args:
        any_family: whether a model that says all of this itself may be of any family.

    Raises:
        PolymorphError: there is no such backbone, it does not say its input size, or it cannot
            take pictures of the size that is wanted.
    """
    if isinstance(config, BundleBackboneConfig):
        return read_bundle(config.bundle).manifest.preprocessing
    if isinstance(config, PretrainConfig):
        _check_side(vit_config(config), config.image_size)
        return Preprocessing(size=config.image_size, **_FROM_SCRATCH)
    location, revision = location_of(config)
    where = f"backbone {location}"
    model = model_config_of(config)
    try:
        images, _ = ImageProcessingMixin.get_image_processor_dict(location, revision=revision)
    except (OSError, ValueError):
        images = {}
    mean, std = images.get("image_mean"), images.get("image_std")
    side = config.image_size or _processors_side(images)
    if not (any_family and mean and std and side):
        family = family_of(model, where)
        side = side or family.trained_side(model)
        mean, std = mean or family.mean, std or family.std
    if side is None:
        raise PolymorphError(
            "an input size", "none in its config.json", where=where,
            remedy="set backbone.image_size",
        )  # fmt: skip
    if not any_family:
        _check_side(model, side)
    return Preprocessing(size=side, mean=tuple(mean), std=tuple(std))


def _processors_side(images: Mapping[str, Any]) -> int | None:
    """What a processor's configuration crops to, else what it scales to; None: it says neither."""
    cropped = images.get("do_center_crop") is not False
    for name in ("crop_size", "size") if cropped else ("size",):
        found = images.get(name)
        if isinstance(found, Mapping):
            found = found.get("height") or found.get("shortest_edge")
        if isinstance(found, int):
            return found
    return None


def _check_side(model: Any, side: int) -> None:
    family = family_of(model)
    step = family.side_step_of(model)
    if side % step:
        below = side - side % step
        near = [str(one) for one in (below, below + step) if one]
        raise PolymorphError(
            f"a side that is a multiple of {step} px, as this {family.name} takes them",
            f"{side} px", where="backbone.image_size", remedy=f"set it to {' or '.join(near)}",
        )  # fmt: skip
