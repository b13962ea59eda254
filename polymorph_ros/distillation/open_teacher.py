"""The teacher that a configuration names, tried on one picture."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from polymorph_ros.bundle.reader import file_sha256
from polymorph_ros.distillation.answers import Teacher
from polymorph_ros.distillation.config import OnnxTeacherConfig, TeacherConfig
from polymorph_ros.distillation.onnx_teacher import OnnxTeacher
from polymorph_ros.distillation.transformers_teacher import TransformersTeacher
from polymorph_ros.errors import PolymorphError
from polymorph_ros.training.backbone_choice import location_of
from polymorph_ros.training.config import HubBackboneConfig
from polymorph_ros.training.stages.backbone import content_of_checkpoint


def open_teacher(config: TeacherConfig, threads: int, device: str) -> Teacher:
    """Load a teacher.

    Raises:
        PolymorphError: it cannot be read, takes no pictures, or its tokens form no grid.
    """
    if isinstance(config, OnnxTeacherConfig):
        teacher: Teacher = OnnxTeacher(config, threads, device)
    else:
        teacher = TransformersTeacher(config, device)
    side = teacher.preprocessing.size
    try:
        teacher(torch.zeros(2, 3, side, side, device=device))
    except PolymorphError:
        raise
    except Exception as error:  # every network has errors of its own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise PolymorphError(
            f"a network that takes pictures of {side} x {side} pixels", reason,
            where=f"teacher {name_of(config)}", remedy="set teacher.image_size to its own",
        ) from error  # fmt: skip
    return teacher


def name_of(config: TeacherConfig) -> str:
    """Where it is."""
    return str(config.onnx) if isinstance(config, OnnxTeacherConfig) else location_of(config)[0]


def content_of(config: TeacherConfig) -> str:
    """What decides its answers, wherever it lies.

    Raises:
        PolymorphError: there is no such file or folder.
    """
    place = Path(name_of(config))
    if isinstance(config, HubBackboneConfig):
        source = config.hub
    elif isinstance(config, OnnxTeacherConfig):
        if not place.is_file():
            raise PolymorphError("an ONNX file", "no such file", where=f"teacher {place}")
        source = file_sha256(place)
    else:
        source = content_of_checkpoint(place)
    settings = config.model_dump(mode="json", exclude={"folder", "onnx", "hub"})
    return json.dumps([source, settings], sort_keys=True)
