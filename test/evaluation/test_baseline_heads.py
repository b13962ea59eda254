"""Pins the heads and losses of baselines: what each reads, what unknown labels count for, when a
frame stops early, and that the zero-shot scores are those of transformers' own SigLIP.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import AutoModel, AutoTokenizer

from helpers.quick_training import QUICK
from helpers.tiny import FAMILIES, random_pixels, tiny_backbone
from helpers.tiny_siglip import write_tiny_siglip
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.baselines.early_exit import most_entropy
from polymorph_ros.evaluation.baselines.heads import (
    AttentiveHead,
    CosineHead,
    ExitHead,
    MLDecoderHead,
    exit_feature,
)
from polymorph_ros.evaluation.baselines.losses import Selective, asymmetric
from polymorph_ros.evaluation.baselines.train import train_baselines
from polymorph_ros.evaluation.baselines.zero_shot import SIGLIP2, classifier, sentence_of
from polymorph_ros.evaluation.replay import measure
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.training.config import TrainConfig
from polymorph_ros.training.pipeline import train_bundle


def truth_of(*rows: tuple[int, ...]) -> Tensor:
    return torch.tensor(rows, dtype=torch.int8)


def test_absent_labels_that_are_clear_count_nothing_in_the_asymmetric_loss() -> None:
    logits = torch.tensor([[-4.0, 1.0, 2.0, 0.0]], requires_grad=True)  # sigmoid(-4) < margin

    loss = asymmetric(logits, truth_of((0, 0, 1, -1)))
    loss.backward()

    chance = 1 / (1 + math.exp(-1)) - 0.05
    present = -math.log(1 / (1 + math.exp(-2)))
    assert loss.item() == pytest.approx((-(chance**4) * math.log(1 - chance) + present) / 3)
    assert logits.grad is not None
    assert logits.grad[0, 0] == logits.grad[0, 3] == 0
    assert logits.grad[0, 1] > 0 > logits.grad[0, 2]


def test_rare_and_unlikely_unknown_labels_count_as_absent() -> None:
    frequency = torch.tensor([0.01] * 8)
    frequency[7] = 0.5
    logits = torch.linspace(-3, 3, 8).repeat(1, 1).requires_grad_()
    truth = truth_of((-1,) * 8)

    Selective(frequency)(logits, truth).backward()

    assert logits.grad is not None
    taught = (logits.grad[0] > 0).tolist()  # five are the likeliest, the frequent one among them
    assert taught == [True, True, True, False, False, False, False, False]


def test_a_frequent_unknown_label_is_left_out_however_unlikely() -> None:
    frequency = torch.tensor([0.5] + [0.01] * 7)
    logits = torch.linspace(-3, 3, 8).repeat(1, 1).requires_grad_()

    Selective(frequency)(logits, truth_of((-1,) * 8)).backward()

    assert logits.grad is not None
    assert logits.grad[0, 0] == 0
    assert (logits.grad[0, 1:3] > 0).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_where_all_is_known_the_selective_loss_leaves_nothing_out(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 6, generator=generator, requires_grad=True)
    truth = torch.randint(0, 2, (3, 6), generator=generator).to(torch.int8)

    Selective(torch.full((6,), 0.9))(logits, truth).backward()

    assert logits.grad is not None
    assert ((logits.grad > 0) == (truth == 0)).all()
    assert (logits.grad != 0).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_heads_read_the_tokens_of_every_kind_of_backbone(family: str, tmp_path: Path) -> None:
    backbone = tiny_backbone(tmp_path, family)
    with torch.no_grad():
        tokens = backbone.trunk(random_pixels(3), 2)
        last = backbone.last_tokens(tokens, 2)
        for kind in (AttentiveHead, MLDecoderHead):
            head = kind(backbone.hidden_size, 5).eval()
            copy = kind.of(head.state_dict()).eval()
            copy.load_state_dict(head.state_dict())

            logits = copy(last)

            assert logits.shape == (3, 5)
            torch.testing.assert_close(logits, head(last))
            torch.testing.assert_close(copy(last[:1]), logits[:1], rtol=1e-4, atol=1e-4)
            assert (logits[0] - logits[1]).abs().max() > 1e-4
        assert exit_feature(tokens).shape == (3, 2 * backbone.token_size(2))


def test_a_frame_stops_where_its_labels_are_sure() -> None:
    tokens = torch.randn(1, 17, 4, generator=torch.Generator().manual_seed(0))
    head = ExitHead(early=8, feature=3, labels=2)
    feature = torch.ones(1, 3)
    asked: list[Tensor] = []

    def rest(early: Tensor) -> Tensor:
        asked.append(early)
        return feature

    with torch.no_grad():
        went_on = head(tokens, rest)
        head.most_entropy.fill_(math.log(2))
        stopped = head(tokens, rest)

        assert len(asked) == 1
        torch.testing.assert_close(went_on, head.last(feature))
        torch.testing.assert_close(stopped, head.exit(exit_feature(tokens)))


def test_as_many_frames_stop_as_cost_little() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (400, 3)).astype(np.int8)
    last = np.where(truth == 1, 0.9, 0.1).astype(np.float32)
    entropy = np.linspace(0.01, 0.7, 400)
    early = last.copy()
    early[200:] = 1 - early[200:]  # wrong where it is unsure

    bound = most_entropy(entropy, early, last, truth)

    stops = (entropy <= bound).mean()
    assert 0.45 <= stops <= 0.6
    assert most_entropy(entropy, 1 - last, last, truth) == 0.0
    assert (entropy <= most_entropy(entropy, last, last, truth)).all()


def test_zero_shot_scores_are_those_of_transformers(tmp_path: Path) -> None:
    sentences = [sentence_of(label) for label in ("Coffee_cup", "desk", "traffic light")]
    folder = write_tiny_siglip(tmp_path, sentences)
    pixels = random_pixels(2)
    whole: Any = AutoModel.from_pretrained(folder).eval()
    words = AutoTokenizer.from_pretrained(folder)(
        sentences, padding="max_length", max_length=16, return_tensors="pt"
    )

    tensors = classifier(folder, sentences)

    head = CosineHead.of(tensors)
    head.load_state_dict(tensors)
    backbone = load_backbone(folder)
    with torch.no_grad():
        expected = whole(pixel_values=pixels, **words).logits_per_image
        logits = head(backbone.feature(pixels))
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-4)
    assert (expected[:, 0] - expected[:, 1]).abs().min() > 1e-3


def test_without_its_tokenizer_siglip_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_siglip(tmp_path, ["a b"])
    for file in folder.glob("tokenizer*"):
        file.unlink()

    with pytest.raises(PolymorphError, match="both towers and its tokenizer"):
        classifier(folder, ["a b"])


def test_where_siglip_is_not_on_this_machine_it_is_left_out_and_named(tmp_path: Path) -> None:
    config = TrainConfig.model_validate(QUICK)
    work, lines = tmp_path / "work", list[str]()
    bundle = train_bundle(config, tmp_path / "b", work, measure, lambda _: None).bundle

    train_baselines(
        *([SIGLIP2], config, bundle, tmp_path / "baselines", work, lines.append),
        siglip2="nobody/siglip2",
    )

    assert "siglip2_zero_shot is left out: no weights of nobody/siglip2" in lines[-1]
    assert not (tmp_path / "baselines").exists()
