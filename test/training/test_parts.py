"""Pins the parts of training: losses over unknowns, calibration, thresholds, choice of frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from polymorph_ros.errors import PolymorphError
from polymorph_ros.training.calibration import fold_into, platt, skill
from polymorph_ros.training.config import read_config
from polymorph_ros.training.losses import known_bce
from polymorph_ros.training.pretrain import patch_shares
from polymorph_ros.training.stages.adapter import frames_for
from polymorph_ros.training.stages.thresholds import on_alone, on_off
from polymorph_ros.training.token_set import TokenSet

REPOSITORY = Path(__file__).parents[2]


def test_unknown_entries_teach_nothing() -> None:
    logits = torch.tensor([[2.0, -1.0, 5.0]], requires_grad=True)

    known_bce(logits, torch.tensor([[1, 0, -1]], dtype=torch.int8)).backward()

    assert logits.grad is not None
    assert logits.grad[0, 2] == 0
    assert (logits.grad[0, :2] != 0).all()


def test_platt_finds_the_scale_and_shift_that_made_the_truth() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20_000, 1)).astype(np.float32)
    truth = (rng.random(logits.shape) < 1 / (1 + np.exp(-(0.5 * logits - 1)))).astype(np.int8)

    scale, shift = platt(logits, truth)

    assert scale[0] == pytest.approx(0.5, abs=0.05)
    assert shift[0] == pytest.approx(-1.0, abs=0.1)


def test_few_examples_are_drawn_towards_what_all_say_and_contrary_ones_say_little() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (2000, 6)).astype(np.float32)
    truth = (rng.random(logits.shape) < 1 / (1 + np.exp(-0.5 * logits))).astype(np.int8)
    truth[:, 4] = -1
    truth[:4, 4], logits[:4, 4] = 1, 2.0  # so few examples, and of one kind only

    scale, shift = platt(logits[:, :5], truth[:, :5])
    contrary, _ = platt(logits, 1 - truth)

    assert scale[4] == pytest.approx(0.5, abs=0.15)
    assert abs(shift[4]) < 2
    assert (contrary[[0, 1, 2, 3, 5]] < 0.05).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 30))
def test_calibration_never_turns_a_score_round(seed: int, frames: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 5, (frames, 4)).astype(np.float32)
    truth = rng.integers(-1, 2, (frames, 4)).astype(np.int8)

    scale, shift = platt(logits, truth)

    assert (scale > 0).all()
    assert np.isfinite(shift).all()


def test_skill_tells_scores_that_know_from_scores_that_do_not() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random((5000, 4)) < 0.2).astype(np.int8)
    scores = np.full(truth.shape, 0.2)
    scores[:, 0] = truth[:, 0]  # sure and right
    scores[:, 2] = 1 - truth[:, 2]  # sure and wrong
    truth[:, 3] = np.minimum(truth[:, 3], 0)  # never seen

    told = skill(scores, truth)

    assert told[0] > 0.99
    assert told[1] == pytest.approx(0, abs=0.01)
    assert told[2] == told[3] == 0


def test_few_examples_tell_little_skill() -> None:
    truth = np.array([[1], [0], [0]], np.int8)

    few = skill(truth.astype(np.float64), truth)
    many = skill(np.tile(truth, (100, 1)).astype(np.float64), np.tile(truth, (100, 1)))

    assert 0.3 < few[0] < 0.8 < many[0]


def test_a_folded_head_gives_the_calibrated_logits() -> None:
    head, inputs = nn.Linear(4, 2), torch.randn(3, 4)
    before = head(inputs).detach()

    fold_into(head, np.float32([2.0, 0.5]), np.float32([1.0, -1.0]))

    expected = before * torch.tensor([2.0, 0.5]) + torch.tensor([1.0, -1.0])
    assert torch.allclose(head(inputs), expected, atol=1e-6)


def test_thresholds_separate_what_can_be_separated() -> None:
    truth = np.array([[1], [1], [0], [0], [-1]], np.int8)
    beliefs = np.array([[0.8], [0.7], [0.4], [0.1], [0.75]], np.float32)

    on, off = on_off(beliefs, truth, [slice(row, row + 1) for row in range(5)])

    assert 0.4 < on[0] <= 0.7
    assert 0 < off[0] < on[0]


def test_thresholds_are_chosen_with_what_is_held_in_mind() -> None:
    truth = np.array([[1], [1], [0], [0], [0], [0]], np.int8)
    beliefs = np.array([[0.9], [0.8], [0.45], [0.45], [0.45], [0.45]], np.float32)

    together, off = on_off(beliefs, truth, [slice(0, 6)])
    apart, _ = on_off(beliefs, truth, [slice(0, 2), slice(2, 6)])

    assert 0.45 < off[0] < together[0] <= 0.8, "a label that went is not held on"
    assert apart[0] < together[0], "nothing is held from one sequence to the next"
    assert 0.45 < on_alone(beliefs, truth)[0] <= 0.8


def test_an_adapter_learns_from_its_own_frames_and_a_share_of_others() -> None:
    presence = np.zeros((100, 2), np.int8)
    presence[:20, 0] = 1
    data = TokenSet(np.zeros((100, 1, 1), np.float16), np.zeros((100, 1), np.int8), presence)

    chosen = frames_for(data, 0, 0.5, np.random.default_rng(0))

    assert set(range(20)) <= set(chosen.tolist())
    assert len(set(chosen.tolist())) == len(chosen) == 30


def test_patch_shares_say_how_much_of_each_label_a_patch_shows() -> None:
    cells = torch.zeros(1, 4, 4, dtype=torch.uint8)
    cells[0, :2, 0] = 2  # half of the first patch shows label 1

    shares = patch_shares(cells, 2, labels=3)

    assert shares.shape == (1, 4, 4)
    assert shares[0, 0].tolist() == [0.5, 0.0, 0.5, 0.0]
    assert shares.sum(dim=2).eq(1).all()


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("default_bundle", "rooms_streets_groceries"),
        ("rooms_and_streets", "rooms_and_streets"),
    ],
)
def test_the_configurations_of_bundles_are_valid(file: str, name: str) -> None:
    assert read_config(REPOSITORY / f"config/{file}.yaml").name == name


@pytest.mark.parametrize(
    ("text", "told"),
    [(None, "no such file"), ("a: [", "not"), ("name: x", "backbone"), ("just text", "fault")],
)
def test_a_wrong_configuration_is_told_in_one_line(
    tmp_path: Path, text: str | None, told: str
) -> None:
    file = tmp_path / "config.yaml"
    if text is not None:
        file.write_text(text)

    with pytest.raises(PolymorphError, match=told) as caught:
        read_config(file)

    assert "\n" not in str(caught.value)
