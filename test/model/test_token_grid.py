"""Tokens as a grid: what stands before the patches, and patches averaged two by two."""

from __future__ import annotations

import pytest
import torch

from polymorph_ros.model.token_grid import grid_side, pool_patches, split_tokens


@pytest.mark.parametrize("prefix", [0, 1, 2, 5])
@pytest.mark.parametrize("side", [4, 7, 14])
def test_patches_and_what_stands_before_them_are_told_apart(prefix: int, side: int) -> None:
    tokens = torch.randn(2, prefix + side * side, 3)

    whole, patches = split_tokens(tokens)

    assert grid_side(tokens.shape[1]) == side
    assert torch.equal(patches, tokens[:, prefix:])
    assert torch.equal(whole, tokens[:, 0] if prefix else patches.amax(dim=1))


def test_patches_are_averaged_by_their_place_in_the_picture() -> None:
    rows, columns = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing="ij")
    patches = torch.stack([rows, columns], dim=2).reshape(1, 16, 2)
    before = torch.full((1, 3, 2), 9.0)

    pooled = pool_patches(torch.cat([before, patches], dim=1), prefix=3)

    expected = [[0.5, 0.5], [0.5, 2.5], [2.5, 0.5], [2.5, 2.5]]
    assert torch.equal(pooled[:, :3], before)
    assert pooled[0, 3:].tolist() == expected


def test_an_odd_edge_averages_what_is_there() -> None:
    patches = torch.arange(9.0).reshape(1, 9, 1)

    assert pool_patches(patches, prefix=0).flatten().tolist() == [2.0, 3.5, 6.5, 8.0]
