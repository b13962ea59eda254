"""How long things take on this machine, and how large they get: a few steps of each, measured."""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.gpu import choose_device
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.training.config import PretrainConfig, TrainConfig
from polymorph_ros.training.cost import Rates
from polymorph_ros.training.frames import LabelledFrames
from polymorph_ros.training.pretrain import pretrain_backbone
from polymorph_ros.training.stages.adapter import Lesson, train_adapter
from polymorph_ros.training.stages.scout import new_scout, train_scout
from polymorph_ros.training.token_set import TokenSet

_FEW, _MORE = 1, 4  # steps: the difference leaves out what a run costs once
_FRAMES = 16


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
    device = str(choose_device(config.device))
    loaded, tail_blocks = load_backbone(backbone).to(device), config.adapters.tail_blocks
    pixels = torch.zeros(_FRAMES, 3, preprocessing.size, preprocessing.size, device=device)
    with torch.inference_mode():
        _, length, width = loaded.trunk(pixels[:1], tail_blocks).shape
        engine_s = _seconds(lambda: loaded.trunk(pixels[:1], tail_blocks))
        trunk_s = _seconds(lambda: loaded.trunk(pixels, tail_blocks)) / _FRAMES
    batch = max(config.adapters.batch_size, config.scout.batch_size)
    data = replace(_tokens((length, width), labels, contexts, batch), device=device)
    scout = new_scout(config.scout, data)
    chosen = config.backbone
    with tempfile.TemporaryDirectory() as scratch:
        adapter_s, adapter_bytes = _adapter(config, backbone, data, Path(scratch))
        return Rates(
            token_shape=(length, width),
            backbone_bytes=_bytes(backbone),
            adapter_bytes=adapter_bytes,
            scout_bytes=sum(tensor.nbytes for tensor in scout.tensors().values()),
            pretrain_step_s=_pretrain_step_s(
                chosen, Preprocessor(preprocessing, device), labels, Path(scratch)
            )
            if isinstance(chosen, PretrainConfig)
            else None,
            trunk_frame_s=trunk_s,
            engine_frame_s=engine_s,
            scout_step_s=_scout_step_s(config, data, Path(scratch)),
            adapter_step_s=adapter_s,
        )


def _adapter(
    config: TrainConfig, backbone: Path, data: TokenSet, scratch: Path
) -> tuple[float, int]:
    """Seconds of a step, and bytes of an adapter."""
    labels = min(data.truth.shape[1], config.contexts.labels_per_context)
    lesson = Lesson(_first(data, config.adapters.batch_size), "", 0, tuple(range(labels)))

    def run(steps: int) -> None:
        part = config.adapters.model_copy(update={"epochs": steps, "others": 0.0})
        checkpoint = scratch / f"adapter-{steps}.safetensors"
        train_adapter(part, backbone, lesson, checkpoint, seed=0).save(scratch / "adapter")

    return _step_seconds(run), _bytes(scratch / "adapter")


def _scout_step_s(config: TrainConfig, data: TokenSet, scratch: Path) -> float:
    def run(steps: int) -> None:
        part = config.scout.model_copy(update={"epochs": steps})
        lesson = _first(data, part.batch_size)
        train_scout(part, lesson, seed=0, checkpoint=scratch / f"scout-{steps}")

    return _step_seconds(run)


def _pretrain_step_s(
    config: PretrainConfig, preprocessor: Preprocessor, labels: int, scratch: Path
) -> float:
    count, size = config.batch_size, config.image_size
    frames = LabelledFrames(
        np.zeros((count, size, size, 3), np.uint8),
        np.zeros((count, labels), np.int8),
        np.zeros(count, np.int32),
        np.arange(count, dtype=np.float64),
    )

    def run(steps: int) -> None:
        part = config.model_copy(update={"epochs": steps})
        checkpoint = scratch / f"backbone-{steps}"
        pretrain_backbone(part, frames, preprocessor, seed=0, checkpoint=checkpoint)

    return _step_seconds(run)


def _tokens(shape: tuple[int, int], labels: int, contexts: int, frames: int) -> TokenSet:
    """Random tokens and truth; every context is always there."""
    rng = np.random.default_rng(0)
    return TokenSet(
        rng.normal(size=(frames, *shape)).astype(np.float16),
        rng.integers(0, 2, (frames, labels)).astype(np.int8),
        np.ones((frames, contexts), np.int8),
    )


def _first(data: TokenSet, frames: int) -> TokenSet:
    parts = (data.tokens[:frames], data.truth[:frames], data.presence[:frames])
    return TokenSet(*parts, data.device)


def _step_seconds(run: Callable[[int], None]) -> float:
    with contextlib.redirect_stdout(io.StringIO()):
        few, more = (computing_s(lambda count=count: run(count)) for count in (_FEW, _MORE))  # type: ignore
    return max(1e-4, (more - few) / (_MORE - _FEW))


def _seconds(run: Callable[[], object]) -> float:
    run()
    return min(computing_s(run) for _ in range(3))


def computing_s(run: Callable[[], object]) -> float:
    """Seconds of one run; on a CPU whatever else the machine does meanwhile."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        return time.perf_counter() - start
    start = time.process_time()
    run()
    return (time.process_time() - start) / torch.get_num_threads()


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
