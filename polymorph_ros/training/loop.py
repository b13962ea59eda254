"""The training loop that backbone, scout and adapters share."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch import Tensor, nn

Indices = NDArray[np.int64]

_WARM_UP = 0.05  # share of the steps over which the learning rate rises
_CLIP = 1.0


def progress_bar() -> Progress:
    """A bar with count, time and remaining time, as all long work shows it."""
    return Progress(
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )


def fit(
    name: str,
    parameters: Iterable[nn.Parameter],
    loss_of: Callable[[Indices], Tensor],
    frames: Indices,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    rng: np.random.Generator,
) -> None:
    """Minimise a loss with AdamW, a short warm-up and a cosine decay to zero.

    Args:
        name: what the progress bar calls it.
        parameters: what is trained.
        loss_of: the loss of a batch, given indices of frames.
        frames: the frames, shuffled anew in each epoch by ``rng``.
    """
    weights = [parameter for parameter in parameters if parameter.requires_grad]
    groups = [
        {"params": [p for p in weights if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98))
    per_epoch = max(1, len(frames) // batch_size)
    total = per_epoch * epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, total))
    with progress_bar() as bars:
        task = bars.add_task(name, total=total, note="")
        running = 0.0
        for step in range(total):
            if step % per_epoch == 0:
                order = rng.permutation(frames)
            first = (step % per_epoch) * batch_size
            loss = loss_of(np.sort(order[first : first + batch_size]))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(weights, _CLIP)
            optimizer.step()
            schedule.step()
            running = loss.item() if step == 0 else 0.98 * running + 0.02 * loss.item()
            bars.update(task, advance=1, note=f"loss {running:.4f}")


def _rate(step: int, total: int) -> float:
    warm = max(1, int(total * _WARM_UP))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1.0 + float(np.cos(np.pi * (step - warm) / max(1, total - warm))))
