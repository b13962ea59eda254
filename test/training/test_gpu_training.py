"""On a real GPU: what a hundred steps of training lead to is what they lead to on the CPU.

Pins: scout, adapter, scout with an adapter and backbone from scratch, from the same first weights,
to 1e-3 in the loss over all frames; trunk tokens to half precision; that a run goes on from a
checkpoint; the commands' ``--device cuda``, where what reads recordings is installed. Without a
GPU, the same by ``--device cpu`` is what the other tests here pin.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from helpers.gpu import NEEDS_GPU, whole_float32
from helpers.quick_training import QUICK
from helpers.tiny import IMAGE_SIZE, random_pixels, tiny_backbone_folder
from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.training.config import AdaptersConfig, PretrainConfig, ScoutConfig
from polymorph_ros.training.frames import LabelledFrames
from polymorph_ros.training.loop import Schedule, set_up_torch
from polymorph_ros.training.losses import known_bce
from polymorph_ros.training.pretrain import pretrain_backbone
from polymorph_ros.training.stages.adapter import Lesson, TrainableAdapter, train_adapter
from polymorph_ros.training.stages.deep_scout import DeepScout
from polymorph_ros.training.stages.scout import fit_scout, new_scout, train_scout
from polymorph_ros.training.token_set import TokenSet

pytestmark = NEEDS_GPU

DEVICE = "cuda"
FRAMES, LABELS, CONTEXTS = 32, 6, 2
STEPS = {"epochs": 25, "batch_size": 8}  # 100 steps
SCOUT = ScoutConfig(hidden=32, **STEPS)
ADAPTERS = AdaptersConfig(rank=4, alpha=8, **STEPS)
TOLERANCE = 1e-3


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    with whole_float32():
        yield


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_backbone_folder(tmp_path_factory.mktemp("training") / "backbone", "dinov2")


@pytest.fixture(scope="module")
def data(backbone: Path) -> TokenSet:
    rng = np.random.default_rng(0)
    with torch.inference_mode():
        tokens = load_backbone(backbone).trunk(random_pixels(FRAMES), 2)
    truth = rng.integers(-1, 2, (FRAMES, LABELS)).astype(np.int8)
    presence = rng.integers(0, 2, (FRAMES, CONTEXTS)).astype(np.int8)
    return TokenSet(tokens.half().numpy(), truth, presence)


def both(train: Callable[[str], float]) -> tuple[float, float]:
    """The loss after training on the CPU and on the GPU."""
    losses = []
    for device in ("cpu", DEVICE):
        set_up_torch(1, device)
        losses.append(train(device))
    return losses[0], losses[1]


def loss_over_all(network: nn.Module, data: TokenSet) -> float:
    """Of the labels' logits, over all frames."""
    network.eval()
    with torch.inference_mode():
        logits = network(data.tensor(data.tokens.astype(np.float32)))
        labels = logits[0] if isinstance(logits, tuple) else logits
        return float(known_bce(labels, data.tensor(data.truth)))


def test_a_scout_is_trained_alike(data: TokenSet, tmp_path: Path) -> None:
    def train(device: str) -> float:
        there = replace(data, device=device)
        scout = train_scout(SCOUT, there, seed=3, checkpoint=tmp_path / device)
        assert next(scout.parameters()).device.type == torch.device(device).type
        return loss_over_all(scout, there)

    on_cpu, on_gpu = both(train)

    assert on_gpu == pytest.approx(on_cpu, abs=TOLERANCE)


def test_an_adapter_is_trained_alike(data: TokenSet, backbone: Path, tmp_path: Path) -> None:
    def train(device: str) -> float:
        lesson = Lesson(replace(data, device=device), "any", 0, tuple(range(LABELS)))
        lesson = replace(lesson, data=replace(lesson.data, presence=np.ones_like(data.presence)))
        adapter = train_adapter(ADAPTERS, backbone, lesson, tmp_path / device, seed=3)
        adapter.cpu().save(tmp_path / f"adapter-{device}")
        return loss_over_all(adapter, data)

    on_cpu, on_gpu = both(train)

    assert on_gpu == pytest.approx(on_cpu, abs=TOLERANCE)


def test_a_scout_with_an_adapter_is_trained_alike(
    data: TokenSet, backbone: Path, tmp_path: Path
) -> None:
    def train(device: str) -> float:
        torch.manual_seed(3)
        there = replace(data, device=device)
        adapter = TrainableAdapter(ADAPTERS, backbone, LABELS + CONTEXTS)
        scout = DeepScout(new_scout(SCOUT, there), adapter).to(device).train()
        adapter.peft_model.eval()
        fit_scout(scout, scout.parameters(), there, Schedule.of(ADAPTERS, 3), tmp_path / device)
        return loss_over_all(scout, there)

    on_cpu, on_gpu = both(train)

    assert on_gpu == pytest.approx(on_cpu, abs=TOLERANCE)


def test_a_backbone_is_trained_alike(tmp_path: Path) -> None:
    config = PretrainConfig(
        hidden_size=16, layers=3, heads=2, patch_size=8, image_size=IMAGE_SIZE, **STEPS
    )
    rng = np.random.default_rng(1)
    frames = LabelledFrames(
        rng.integers(0, 256, (FRAMES, IMAGE_SIZE, IMAGE_SIZE, 3)).astype(np.uint8),
        rng.integers(-1, 2, (FRAMES, LABELS)).astype(np.int8),
        np.zeros(FRAMES, np.int32),
        np.arange(FRAMES, dtype=np.float64),
        rng.integers(0, LABELS + 1, (FRAMES, 8, 8)).astype(np.uint8),
    )
    prepared = Preprocessing(size=IMAGE_SIZE, mean=(0.5,) * 3, std=(0.5,) * 3)
    features: list[Tensor] = []

    def train(device: str) -> float:
        model = pretrain_backbone(
            config, frames, Preprocessor(prepared, device), seed=3, checkpoint=tmp_path / device
        )
        with torch.inference_mode():
            tokens = model.eval()(pixel_values=random_pixels(4)).last_hidden_state
        features.append(tokens)
        return float(tokens.square().mean())

    on_cpu, on_gpu = both(train)

    assert on_gpu == pytest.approx(on_cpu, abs=TOLERANCE)
    assert float((features[0] - features[1]).abs().max()) < 0.05


def test_a_run_goes_on_from_its_checkpoint(data: TokenSet, tmp_path: Path) -> None:
    there, file = replace(data, device=DEVICE), tmp_path / "checkpoint"
    whole = train_scout(SCOUT, there, seed=3, checkpoint=tmp_path / "whole")
    train_scout(SCOUT, there, seed=3, checkpoint=file)  # leaves the checkpoint of its last step

    again = train_scout(SCOUT, there, seed=3, checkpoint=file)

    assert loss_over_all(again, there) == pytest.approx(loss_over_all(whole, there), abs=TOLERANCE)


def polymorph(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "polymorph_ros.cli.main", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_training_and_evaluation_run_there(tmp_path: Path) -> None:
    for module in ("mcap", "rosbags", "zeus"):
        pytest.importorskip(module, reason="reads recordings, or measures energy")
    from polymorph_ros.data.bag_writer import write_synthetic_bag
    from polymorph_ros.data.synthetic import make_sequence

    (tmp_path / "train.yaml").write_text(json.dumps(QUICK))  # JSON is YAML
    sequence = make_sequence(3, index=0, split="test", frames=10, hz=5.0, size=(64, 48))
    write_synthetic_bag(tmp_path / "walk", sequence)
    on_gpu = ("--device", DEVICE)
    commands = [
        ("train", tmp_path / "train.yaml", "--dry-run", "--work", tmp_path / "work", *on_gpu),
        ("train", tmp_path / "train.yaml", "--out", tmp_path / "bundle",
         "--work", tmp_path / "work", *on_gpu),
        ("evaluate", "--bundle", tmp_path / "bundle", "--data", tmp_path / "walk",
         "--out", tmp_path / "results", *on_gpu),
        ("data", "frames", tmp_path / "walk", tmp_path / "frames", "--bundle", tmp_path / "bundle",
         "--count", 3, *on_gpu),
    ]  # fmt: skip
    for command in commands:
        done = polymorph(*command)
        assert done.returncode == 0, done.stderr


def test_the_composition_is_timed_there(tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"

    done = polymorph(
        "bench", "compose", "--quick", "--backbone", "ViT-Ti", "--active", 2, "--seconds", 0.1,
        "--rounds", 1, "--device", DEVICE, "--dtype", "bfloat16", "--json", rows,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "composed" in rows.read_text()


def test_a_bundle_is_measured_there(tmp_path: Path) -> None:
    pytest.importorskip("mcap", reason="reads recordings")
    pytest.importorskip("rosbags", reason="reads recordings")
    bundle = Path(__file__).parents[2] / "bundles" / "default"

    done = polymorph(
        "bundle", "pack", bundle, "--dtype", "fp16", "--out", tmp_path / "packed",
        "--synthetic", 1, "--device", DEVICE,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "mean AP" in done.stdout
