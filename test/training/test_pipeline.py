"""Pins a whole training run, small: a sound bundle of plain PEFT adapters, the same for one seed,
continued where it was interrupted.

Open: how good the bundle is; that needs real training and is measured by `make bundle`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.data.synthetic import make_sequence
from polymorph_ros.evaluation.replay import measure
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.training.config import TrainConfig
from polymorph_ros.training.pipeline import train_bundle


def train(config: TrainConfig, folder: Path) -> Bundle:
    work = folder / "work"
    return train_bundle(config, folder / "bundle", work, measure, lambda line: None).bundle


@pytest.fixture(scope="module")
def trained(quick_config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return train(quick_config, tmp_path_factory.mktemp("training"))


def test_the_bundle_is_sound_and_says_what_was_measured(
    trained: Bundle, quick_config: TrainConfig
) -> None:
    model = PolymorphModel.from_bundle(trained, "cpu")

    assert len(model.labels) == 33
    assert 2 <= len(model.contexts) <= 6
    assert trained.manifest.metrics["mean_ap_floor"] == quick_config.mean_ap_floor
    assert 0 < trained.manifest.metrics["mean_ap"] < 1
    assert trained.manifest.over_time is not None
    for context in trained.manifest.contexts:
        assert context.reliability is not None, "how much its scores tell was measured"
        assert all(0 <= value <= 1 for value in context.reliability)
    assert trained.manifest.unknown_scene is not None, "it knows what its scenes look like"
    assert trained.manifest.unknown_scene.threshold > 0


def test_peft_opens_the_adapters_and_computes_what_the_composed_tails_compute(
    trained: Bundle,
) -> None:
    manifest = trained.manifest
    composed = PolymorphModel.from_bundle(trained, "cpu")
    frame = next(make_sequence(1, split="test", frames=1, size=(64, 48)).frames())
    tokens = composed.trunk(composed.preprocess(frame.image))
    everything = composed.tails(tokens, range(len(manifest.contexts)))

    for index, answer in enumerate(everything):
        backbone = load_backbone(trained.backbone_location)
        folder = trained.adapter_folder(index)
        PeftModel.from_pretrained(backbone.model, str(folder))
        head = load_file(folder / "head.safetensors")
        with torch.inference_mode():
            pooled = backbone.tail(tokens, manifest.tail_blocks)
            expected = torch.sigmoid(pooled[0] @ head["weight"].T + head["bias"]).numpy()
        assert np.abs(answer - expected).max() <= 1e-4


def test_the_same_seed_trains_the_same_bundle(
    trained: Bundle, quick_config: TrainConfig, tmp_path: Path
) -> None:
    again = train(quick_config, tmp_path)

    assert again.checksum == trained.checksum


def test_an_interrupted_run_continues_and_ends_with_the_same_bundle(
    trained: Bundle, quick_config: TrainConfig, tmp_path: Path
) -> None:
    # What a run leaves that was killed after its second adapter, and a damaged first one.
    work = shutil.copytree(trained.path.parent / "work", tmp_path / "work")
    damaged, kept, *others = sorted(work.glob("adapter-*"))
    for adapter in others:
        shutil.rmtree(adapter)
    with (damaged / "adapter_model.safetensors").open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\xff")
    unfinished = work / f".{others[0].name}.part"
    unfinished.mkdir()
    (unfinished / "adapter_model.safetensors").write_bytes(b"half")
    written = (kept / "adapter_model.safetensors").stat().st_mtime_ns

    again = train(quick_config, tmp_path)

    assert again.checksum == trained.checksum
    assert (kept / "adapter_model.safetensors").stat().st_mtime_ns == written
