"""How long things take on this machine, and how large they get: a few steps of each, measured."""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.training.config import PretrainConfig, TrainConfig
from polymorph_ros.training.frames import LabelledFrames
from polymorph_ros.training.pretrain import pretrain_backbone
from polymorph_ros.training.stages.adapter import train_adapter
from polymorph_ros.training.stages.scout import train_scout
from polymorph_ros.training.token_set import TokenSet

_FEW, _MORE = 1, 4  # steps: the difference leaves out what a run costs once
_FRAMES = 16


@dataclass(frozen=True)
class Rates:
    """Seconds, and bytes of what is kept.

    Attributes:
        token_shape: (N, D).
        pretrain_step_s: none where no backbone is trained.
        trunk_frame_s: a frame in a batch.
        engine_frame_s: a frame on its own, as the thresholds are chosen; tails not counted.
    """

    token_shape: tuple[int, int]
    backbone_bytes: int
    adapter_bytes: int
    pretrain_step_s: float | None
    trunk_frame_s: float
    engine_frame_s: float
    scout_step_s: float
    adapter_step_s: float


def measure_rates(
    config: TrainConfig, preprocessing: Preprocessing, backbone: Path, labels: int, contexts: int
) -> Rates:
    """Run a few steps of each kind on random data.

    Args:
        backbone: its checkpoint, or one of random weights of the same shape.
        labels: size of the vocabulary.
        contexts: how many there will be.
    """
    torch.set_num_threads(config.threads)
    loaded = load_backbone(backbone)
    size = preprocessing.size
    tail_blocks = config.adapters.tail_blocks
    with torch.inference_mode():
        pixels = torch.zeros(_FRAMES, 3, size, size)
        shape = loaded.trunk(pixels[:1], tail_blocks).shape
        engine_s = _seconds(lambda: loaded.trunk(pixels[:1], tail_blocks))
        trunk_s = _seconds(lambda: loaded.trunk(pixels, tail_blocks)) / _FRAMES
    rng = np.random.default_rng(0)
    each = min(labels, config.contexts.labels_per_context)
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()):
        folder = Path(scratch)

        def adapter(steps: int) -> None:
            part = config.adapters.model_copy(update={"epochs": steps, "others": 0.0})
            target = folder / f"adapter-{steps}"
            target.mkdir()
            data = _tokens(shape[1:], labels, contexts, part.batch_size, rng)
            train_adapter(
                part, backbone, data, data, 0, tuple(range(each)), target, name="", seed=0
            )

        def scout(steps: int) -> None:
            part = config.scout.model_copy(update={"epochs": steps})
            data = _tokens(shape[1:], labels, contexts, part.batch_size, rng)
            train_scout(part, data, seed=0, checkpoint=folder / f"scout-{steps}")

        adapter_s, scout_s = _step_seconds(adapter), _step_seconds(scout)
        adapter_bytes = _bytes(folder / f"adapter-{_FEW}", but="checkpoint.safetensors")
    return Rates(
        (int(shape[1]), int(shape[2])),
        _bytes(backbone),
        adapter_bytes,
        _pretrain_step_s(config.backbone, preprocessing, labels)
        if isinstance(config.backbone, PretrainConfig)
        else None,
        trunk_s,
        engine_s,
        scout_s,
        adapter_s,
    )


def _pretrain_step_s(config: PretrainConfig, preprocessing: Preprocessing, labels: int) -> float:
    count, size = config.batch_size, preprocessing.size
    frames = LabelledFrames(
        np.zeros((count, size, size, 3), np.uint8),
        np.zeros((count, labels), np.int8),
        np.zeros(count, np.int32),
        np.arange(count, dtype=np.float64),
    )

    def run(steps: int) -> None:
        with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()):
            pretrain_backbone(
                config.model_copy(update={"epochs": steps}),
                frames,
                Preprocessor(preprocessing, "cpu"),
                seed=0,
                checkpoint=Path(scratch) / "checkpoint",
            )

    return _step_seconds(run)


def _tokens(
    shape: torch.Size, labels: int, contexts: int, frames: int, rng: np.random.Generator
) -> TokenSet:
    return TokenSet(
        rng.normal(size=(frames, *shape)).astype(np.float16),
        rng.integers(0, 2, (frames, labels)).astype(np.int8),
        np.ones((frames, contexts), np.int8),
    )


def _step_seconds(run: Callable[[int], None]) -> float:
    few, more = (_once(lambda count=count: run(count)) for count in (_FEW, _MORE))  # type: ignore
    return max(1e-4, (more - few) / (_MORE - _FEW))


def _seconds(run: Callable[[], object]) -> float:
    run()
    return min(_once(run) for _ in range(3))


def _once(run: Callable[[], object]) -> float:
    """Seconds of computing, whatever else the machine does meanwhile."""
    start = time.process_time()
    run()
    return (time.process_time() - start) / torch.get_num_threads()


def _bytes(folder: Path, but: str = "") -> int:
    files = (file for file in folder.rglob("*") if file.is_file() and file.name != but)
    return sum(file.stat().st_size for file in files)
