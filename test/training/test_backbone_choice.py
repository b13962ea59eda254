"""Pins the size of pictures that a chosen backbone gets, what is refused before anything is
computed, and the warning about frames that would take long.

Open: the measured times themselves.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from transformers import Dinov2Config, ViTConfig, ViTModel

from helpers.tiny import tiny_backbone_folder
from polymorph_ros.cli.train_report import print_plan
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.replay import measure
from polymorph_ros.training.backbone_choice import preprocessing_of
from polymorph_ros.training.config import FolderBackboneConfig, TrainConfig
from polymorph_ros.training.frame_cost import MOST, FrameCost, slow_frames
from polymorph_ros.training.graph import TrainingGraph
from polymorph_ros.training.pipeline import train_bundle
from polymorph_ros.training.plan import plan_training

ENDLESS = FrameCost(0, tokens=400, seconds=1e9)


def with_folder(config: TrainConfig, folder: Path, size: int | None = None) -> TrainConfig:
    backbone = FolderBackboneConfig(folder=folder, image_size=size)
    return config.model_copy(update={"backbone": backbone})


def folder_with_processor(folder: Path, **processor: Any) -> Path:
    Dinov2Config(image_size=518, patch_size=14).save_pretrained(folder)
    if processor:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


@pytest.mark.parametrize(
    ("processor", "side"),
    [
        ({}, 224),  # not its position grid of 518 px
        ({"crop_size": {"height": 98, "width": 98}, "size": {"shortest_edge": 256}}, 98),
        ({"crop_size": 98, "size": 256}, 98),
        (
            {
                "crop_size": {"height": 280, "width": 280},
                "do_center_crop": False,
                "size": {"height": 140, "width": 140},
            },
            140,
        ),
        ({"size": {"shortest_edge": 112}}, 112),
        ({"image_mean": [0.1, 0.2, 0.3]}, 224),
    ],
)
def test_without_a_size_pictures_are_as_its_processor_crops_them(
    tmp_path: Path, processor: dict[str, Any], side: int
) -> None:
    folder = folder_with_processor(tmp_path, **processor)

    preprocessing = preprocessing_of(FolderBackboneConfig(folder=folder, image_size=None))

    assert preprocessing.size == side
    if "image_mean" in processor:
        assert preprocessing.mean == (0.1, 0.2, 0.3)


def test_a_backbone_trained_with_small_pictures_keeps_their_size(tmp_path: Path) -> None:
    folder = tiny_backbone_folder(tmp_path, "dinov2")

    assert preprocessing_of(FolderBackboneConfig(folder=folder, image_size=None)).size == 32


@pytest.mark.parametrize(
    ("family", "side", "message"),
    [
        ("convnext", 100, "multiple of 32 px.*found 100 px; set it to 96 or 128"),
        ("convnextv2", 16, "multiple of 32 px.*found 16 px; set it to 32"),
        ("vit", 33, "multiple of 8 px.*found 33 px; set it to 32 or 40"),
    ],
)
def test_a_side_that_the_backbone_cannot_take_is_refused_at_once(
    quick_config: TrainConfig, tmp_path: Path, family: str, side: int, message: str
) -> None:
    folder = tiny_backbone_folder(tmp_path / "backbone", family)

    with pytest.raises(PolymorphError, match=f"backbone.image_size: .*{message}"):
        TrainingGraph(with_folder(quick_config, folder, side))


def test_targets_of_another_kind_of_block_are_refused_with_those_that_there_are(
    quick_config: TrainConfig, tmp_path: Path
) -> None:
    folder = tiny_backbone_folder(tmp_path / "backbone", "efficientnet_lite")
    adapters = quick_config.adapters.model_copy(update={"targets": ("q", "v", "fc1", "fc2")})
    config = with_folder(quick_config, folder).model_copy(update={"adapters": adapters})

    with pytest.raises(PolymorphError, match="out of expand, project, head, which EfficientNet-L"):
        TrainingGraph(config)


@pytest.fixture
def many_tokens(quick_config: TrainConfig, tmp_path: Path) -> TrainConfig:
    """A quick ViT that makes 1,025 tokens of its pictures."""
    shape = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 1}
    config = ViTConfig(**shape, intermediate_size=8, image_size=64, patch_size=2)
    ViTModel(config, add_pooling_layer=False).save_pretrained(tmp_path / "backbone")
    return with_folder(quick_config, tmp_path / "backbone")


def test_many_tokens_are_warned_of_with_the_size_that_has_fewer(many_tokens: TrainConfig) -> None:
    warning = slow_frames(many_tokens, 64, "cpu", ENDLESS)

    assert warning is not None
    assert "1025 tokens" in warning
    assert "backbone.image_size: 38 would not (38 px: " in warning
    assert "362 tokens" in warning
    assert slow_frames(many_tokens, 38, "cpu", ENDLESS) is None


def test_where_every_size_is_slow_a_smaller_backbone_is_advised(many_tokens: TrainConfig) -> None:
    never = FrameCost(0, tokens=400, seconds=1e-9)

    warning = slow_frames(many_tokens, 8, "cpu", never)

    assert warning is not None
    assert warning.endswith("so would it at any size: take a smaller backbone")


def test_training_and_its_plan_warn(many_tokens: TrainConfig, tmp_path: Path) -> None:
    lines: list[str] = []
    console = Console(record=True, width=200)

    print_plan(console, plan_training(many_tokens, tmp_path / "work"))
    train_bundle(many_tokens, tmp_path / "bundle", tmp_path / "work", measure, lines.append)

    assert f"warning: a frame would take more than 100 ms or {MOST.tokens} tokens here" in (
        console.export_text()
    )
    assert lines[0].startswith("warning: a frame would take more than")
