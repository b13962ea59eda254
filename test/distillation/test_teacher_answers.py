"""Pins how answers of a network are read: which tokens form a grid, how a grid is fitted to
another, and that an answer that is not finite names its picture.
"""

from __future__ import annotations

from math import isqrt

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polymorph_ros.distillation.answers import as_grid, check_finite, on_grid
from polymorph_ros.errors import PolymorphError


@given(side=st.integers(3, 20), prefix=st.integers(0, 5), width=st.integers(1, 4))
def test_tokens_of_a_square_come_apart(side: int, prefix: int, width: int) -> None:
    tokens = torch.arange(2.0 * (prefix + side * side) * width).reshape(2, -1, width)

    grid = as_grid(tokens, "teacher")

    assert grid.patches.shape == (2, width, side, side)
    together = torch.cat([grid.prefix, grid.patches.flatten(2).transpose(1, 2)], dim=1)
    assert torch.equal(together, tokens)


@given(count=st.integers(1, 500))
def test_tokens_that_are_no_square_are_refused(count: int) -> None:
    before = count - isqrt(count) ** 2
    tokens = torch.zeros(1, count, 4)

    if before <= 5:
        as_grid(tokens, "teacher")
    else:
        with pytest.raises(PolymorphError, match="tokens that form a grid"):
            as_grid(tokens, "teacher")


def test_a_vector_is_no_grid() -> None:
    with pytest.raises(PolymorphError, match=r"\(1280,\) for each picture"):
        as_grid(torch.zeros(1, 1280), "teacher x.onnx, output features")


@pytest.mark.parametrize("side", [1, 2, 4, 9])
def test_a_fitted_grid_keeps_the_mean_of_a_slope(side: int) -> None:
    patches = torch.arange(4.0).repeat(1, 1, 4, 1)  # rises from left to right

    fitted = on_grid(patches, side)

    assert fitted.shape == (1, side * side, 1)
    assert fitted.mean() == pytest.approx(1.5)
    rows = fitted.reshape(side, side)
    assert (rows.diff(dim=1) >= 0).all()
    torch.testing.assert_close(rows, rows[:1].expand(side, side))


@pytest.mark.parametrize("fault", [float("nan"), float("inf")])
def test_an_answer_that_is_not_finite_names_its_picture(fault: float) -> None:
    answers = {"patches": torch.zeros(3, 2, 2, 2), "logits": torch.zeros(3, 5)}
    answers["logits"][1, 4] = fault

    with pytest.raises(PolymorphError, match="NaN or infinity in logits of second"):
        check_finite(answers, ["first", "second", "third"], "teacher")
