"""The training loop that backbone, scout and adapters share.

It may be killed at any moment: after each epoch, and every so many seconds, it keeps weights and
optimiser, and all that is random in a step depends only on the seed and the step's number, so that
a run that continues takes exactly the steps that an undisturbed one takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from polymorph_ros.arrays import Indices
from polymorph_ros.files import replacing
from polymorph_ros.progress import progress_bar
from polymorph_ros.training.config import AdaptersConfig, PretrainConfig, ScoutConfig

_WARM_UP = 0.05  # share of the steps over which the learning rate rises
_CLIP = 1.0
_KEEP_EVERY_S = 15.0

Loss = Callable[[Indices, np.random.Generator], Tensor]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast weights are trained, and the seed of everything random."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int
    least_steps: int = 0

    @classmethod
    def of(cls, config: PretrainConfig | ScoutConfig | AdaptersConfig, seed: int) -> Schedule:
        """The schedule of a part of the configuration."""
        return cls(
            config.epochs,
            config.batch_size,
            config.learning_rate,
            config.weight_decay,
            seed,
            0 if isinstance(config, PretrainConfig) else config.least_steps,
        )

    def per_epoch(self, frames: int) -> int:
        """Gradient steps of an epoch; an incomplete last batch is left out."""
        return max(1, frames // self.batch_size)

    def steps(self, frames: int) -> int:
        """Gradient steps in all; few frames are seen more often, for the least number of steps."""
        return max(self.epochs * self.per_epoch(frames), self.least_steps)


ON_CPU = {"unless": "cpu"}
"""Metadata of a stage's device: what a CPU computes bears the name that it always had."""


def set_up_torch(threads: int, device: str = "cpu") -> None:
    """Make results repeatable: they depend on the number of threads, and on the operations' kind.

    To the bit only on a CPU: a GPU adds up in any order. Every stage that computes calls it, for
    it may run in a process of its own.
    """
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(device == "cpu")


def fit(
    name: str,
    parameters: Iterable[nn.Parameter],
    loss_of: Loss,
    frames: Indices,
    schedule: Schedule,
    checkpoint: Path,
    buffers: Iterable[Tensor] = (),
) -> None:
    """Minimise a loss with AdamW, a short warm-up and a cosine decay to zero.

    Args:
        name: what the progress bar calls it.
        parameters: what is trained.
        loss_of: the loss of a batch, given indices of frames and the step's own random numbers;
            PyTorch's global ones are seeded for each step too.
        frames: the frames, shuffled anew in each epoch.
        schedule: steps, learning rate, weight decay and seed.
        checkpoint: a file to continue from, written after each epoch and every so many seconds.
        buffers: what else steps change, such as the statistics of batch norms.
    """
    others = list(buffers)
    weights = [parameter for parameter in parameters if parameter.requires_grad]
    groups = [
        {"params": [p for p in weights if p.ndim > 1], "weight_decay": schedule.weight_decay},
        {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=schedule.learning_rate, betas=(0.9, 0.98))
    batch_size, per_epoch = schedule.batch_size, schedule.per_epoch(len(frames))
    total = schedule.steps(len(frames))
    start = _restore(checkpoint, weights, optimizer, others)
    kept_s = time.monotonic()
    with progress_bar() as bars:
        task = bars.add_task(name, total=total, completed=start, note="")
        running = float("nan")
        for step in range(start, total):
            epoch, place = divmod(step, per_epoch)
            if place == 0 or step == start:
                order = np.random.default_rng((schedule.seed, epoch)).permutation(frames)
            rng = np.random.default_rng((schedule.seed, epoch, place))
            torch.manual_seed(int(rng.integers(2**62)))
            for group in optimizer.param_groups:
                group["lr"] = schedule.learning_rate * _rate(step, total)
            loss = loss_of(np.sort(order[place * batch_size : (place + 1) * batch_size]), rng)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(weights, _CLIP)
            optimizer.step()
            now = loss.item()
            running = now if step == start else 0.98 * running + 0.02 * now
            bars.update(task, advance=1, note=f"loss {running:.4f}")
            if place == per_epoch - 1 or time.monotonic() - kept_s > _KEEP_EVERY_S:
                _keep(checkpoint, step + 1, weights, optimizer, others)
                kept_s = time.monotonic()


def _keep(
    file: Path,
    step: int,
    weights: list[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    buffers: list[Tensor],
) -> None:
    """Write weights, AdamW's two moments of each, buffers and the number of steps taken."""
    tensors = {"step": torch.tensor(step)}
    tensors |= {f"{index}.buffer": tensor.clone() for index, tensor in enumerate(buffers)}
    for index, weight in enumerate(weights):
        state = optimizer.state.get(weight)
        if not state:  # it has no part in the loss
            continue
        tensors[f"{index}.weight"] = weight.detach().contiguous()
        tensors[f"{index}.mean"] = state["exp_avg"].contiguous()
        tensors[f"{index}.square"] = state["exp_avg_sq"].contiguous()
    with replacing(file) as unfinished:
        save_file(tensors, unfinished)


def _restore(
    file: Path,
    weights: list[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    buffers: list[Tensor],
) -> int:
    """Go back to what ``_keep`` wrote; return the number of steps taken, 0 where it did not."""
    try:
        tensors = load_file(file)
    except (OSError, SafetensorError):
        return 0
    step = int(tensors["step"])
    with torch.no_grad():
        for index, buffer in enumerate(buffers):
            buffer.copy_(tensors[f"{index}.buffer"])
        for index, weight in enumerate(weights):
            if f"{index}.weight" not in tensors:
                continue
            weight.copy_(tensors[f"{index}.weight"])
            optimizer.state[weight] = {
                "step": torch.tensor(float(step)),
                "exp_avg": tensors[f"{index}.mean"].to(weight.device),
                "exp_avg_sq": tensors[f"{index}.square"].to(weight.device),
            }
    return step


def _rate(step: int, total: int) -> float:
    warm = max(1, int(total * _WARM_UP))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1.0 + float(np.cos(np.pi * (step - warm) / max(1, total - warm))))
