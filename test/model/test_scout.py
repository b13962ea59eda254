"""The scout: sizes from its tensors alone, sees a single odd patch, costs little, learns.

Leaves open: how well it does on pictures (the training's tests and the evaluation say).
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.scout import Scout


@settings(deadline=None)
@given(
    dim=st.integers(2, 16),
    labels=st.integers(1, 9),
    contexts=st.integers(1, 5),
    hidden=st.integers(1, 12),
    queries=st.integers(1, 5),
    detectors=st.integers(1, 6),
)
def test_its_file_alone_rebuilds_it(
    dim: int, labels: int, contexts: int, hidden: int, queries: int, detectors: int
) -> None:
    scout = Scout(dim, labels, contexts, hidden, queries, detectors).eval()
    tokens = torch.randn(2, 7, dim)

    again = Scout.from_tensors(load(save(scout.tensors())))

    label_logits, context_logits = again(tokens)
    assert (again.dim, again.num_labels, again.num_contexts) == (dim, labels, contexts)
    assert label_logits.shape == (2, labels) and context_logits.shape == (2, contexts)
    torch.testing.assert_close((label_logits, context_logits), scout(tokens))


def _marked_tokens(count: int, mark: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise tokens (count, 50, D); every second picture has the mark in one random patch."""
    present = torch.arange(count) % 2
    tokens = torch.randn(count, 50, len(mark))
    place = torch.randint(1, 50, (count,))
    tokens[torch.arange(count), place] += mark * present[:, None]
    return tokens, present.float()


def test_it_learns_a_label_that_shows_in_one_patch_of_many() -> None:
    torch.manual_seed(0)
    scout = Scout(dim=16, labels=1, contexts=1, hidden=16, queries=2, detectors=16)
    mark = torch.randn(16) * 3
    optimizer = torch.optim.AdamW(scout.parameters(), lr=1e-2)

    for _ in range(100):
        tokens, present = _marked_tokens(64, mark)
        logits = scout(tokens)[0][:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, present)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    tokens, present = _marked_tokens(256, mark)
    found = (scout(tokens)[0][:, 0] > 0).float()
    assert (found == present).float().mean() > 0.9


@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_registers_are_not_taken_for_patches(prefix: int) -> None:
    scout = Scout(dim=8, labels=3, contexts=2).eval()
    tokens = torch.randn(1, prefix + 16, 8)
    changed = tokens.clone()
    changed[:, 1:prefix] += 7

    assert torch.equal(scout(tokens)[0], scout(changed)[0])
    changed[:, prefix] += 7
    assert not torch.equal(scout(tokens)[0], scout(changed)[0])


def test_it_costs_a_few_percent_of_a_small_trunk() -> None:
    dim, tokens, trunk_blocks = 192, 197, 10  # ViT-Ti at 224 px, K = 2
    scout = Scout(dim, labels=100, contexts=16)

    heads = sum(p.numel() for p in scout.parameters() if p.ndim == 2)
    pooling = (2 * scout.query.out_features + scout.detector.out_features) * dim * tokens
    per_block = 12 * dim * dim * tokens + 2 * tokens * tokens * dim

    assert heads + pooling < 0.02 * trunk_blocks * per_block


def test_a_missing_tensor_is_refused() -> None:
    tensors = Scout(4, 3, 2).tensors()
    del tensors["hidden.bias"]

    with pytest.raises(PolymorphError, match=r"expected hidden.bias of shape \(256,\), found no"):
        Scout.from_tensors(tensors)


def test_a_misshapen_tensor_is_refused() -> None:
    tensors = Scout(4, 3, 2).tensors()
    tensors["label_head.bias"] = torch.zeros(4)

    with pytest.raises(
        PolymorphError, match=r"label_head.bias of shape \(3,\), found shape \(4,\)"
    ):
        Scout.from_tensors(tensors)


def test_a_stranger_among_the_tensors_is_refused() -> None:
    tensors = Scout(4, 3, 2).tensors() | {"extra": torch.zeros(1)}

    with pytest.raises(PolymorphError, match="found a tensor extra"):
        Scout.from_tensors(tensors)


def test_a_tensor_that_is_not_a_number_is_refused() -> None:
    tensors = Scout(4, 3, 2).tensors()
    tensors["label_head.bias"][0] = float("inf")

    with pytest.raises(PolymorphError, match="scout.safetensors: expected finite label_head.bias"):
        Scout.from_tensors(tensors, where="scout.safetensors")
