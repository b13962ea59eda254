"""Pins the training loop: a run that broke off and continues takes the steps of one that did not.

Open: what a power cut leaves on a disk that lies about having written.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from polymorph_ros.training.loop import Indices, Schedule, fit

FRAMES = 23
EPOCHS = 3


class BrokenOff(Exception):
    pass


def trained(checkpoint: Path, *, break_at: int | None = None, seed: int = 1) -> list[Tensor]:
    """Fit a layer whose loss uses NumPy's and PyTorch's random numbers; maybe break off.

    What steps leave in a batch norm's buffers is returned too.
    """
    torch.manual_seed(0)
    layer, unused = nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2)), nn.Linear(2, 2)
    inputs = torch.randn(FRAMES, 4)
    steps = 0

    def loss_of(batch: Indices, rng: np.random.Generator) -> Tensor:
        nonlocal steps
        if steps == break_at:
            raise BrokenOff
        steps += 1
        noise = torch.from_numpy(rng.normal(size=(len(batch), 4)).astype(np.float32))
        dropped = functional.dropout(inputs[batch] + 0.1 * noise, 0.3)
        return (layer(dropped) - inputs[batch, :2]).square().mean()

    fit(
        "layer",
        [*layer.parameters(), *unused.parameters()],
        loss_of,
        np.arange(FRAMES),
        Schedule(EPOCHS, batch_size=4, learning_rate=0.1, weight_decay=0.01, seed=seed),
        checkpoint,
        layer.buffers(),
    )
    return [*(parameter.detach() for parameter in layer.parameters()), *layer.buffers()]


@pytest.mark.parametrize("break_at", [0, 3, 5, 7, 12, 14])
def test_a_run_that_continues_ends_with_the_same_weights(tmp_path: Path, break_at: int) -> None:
    undisturbed = trained(tmp_path / "undisturbed")

    with pytest.raises(BrokenOff):
        trained(tmp_path / "disturbed", break_at=break_at)
    continued = trained(tmp_path / "disturbed")

    for one, other in zip(undisturbed, continued, strict=True):
        assert torch.equal(one, other)


def test_the_last_checkpoint_holds_the_end(tmp_path: Path) -> None:
    undisturbed = trained(tmp_path / "checkpoint")

    again = trained(tmp_path / "checkpoint", break_at=0)

    for one, other in zip(undisturbed, again, strict=True):
        assert torch.equal(one, other)


def test_a_checkpoint_that_is_rubbish_is_none(tmp_path: Path) -> None:
    (tmp_path / "rubbish").write_bytes(b"half of something")

    weights = trained(tmp_path / "rubbish")

    for one, other in zip(weights, trained(tmp_path / "fresh"), strict=True):
        assert torch.equal(one, other)


def test_few_frames_are_seen_more_often_for_the_least_number_of_steps() -> None:
    schedule = Schedule(6, 64, 3e-3, 0.01, seed=0, least_steps=200)

    assert schedule.steps(30) == 200
    assert schedule.steps(64_000) == 6000


def test_another_seed_takes_other_steps(tmp_path: Path) -> None:
    one, other = trained(tmp_path / "one"), trained(tmp_path / "other", seed=2)

    assert not torch.equal(one[0], other[0])
