"""Linear maps in inference: oneDNN's and PyTorch's own choice give the same, gradients still flow.

Pins: equality over shapes, rows few and many, with and without bias, of strided inputs; which CPUs,
precisions and modes oneDNN is for; weights stay shared. Leaves open: speed (docs/decisions/).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from polymorph_ros.model import linear
from polymorph_ros.model.linear import (
    InferenceLinear,
    linear_map,
    onednn_is_faster,
    replace_linear,
)

needs_onednn = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this PyTorch is without oneDNN"
)


@pytest.fixture(autouse=True)
def known_anew() -> Iterator[None]:
    """What is known of the machine is found out again by each test, and after it."""
    onednn_is_faster.cache_clear()
    yield
    onednn_is_faster.cache_clear()


def as_on(monkeypatch: pytest.MonkeyPatch, vendor: str, capability: str = "AVX512") -> None:
    monkeypatch.setattr(linear, "_is_amd", lambda: vendor == "AMD")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)


def calls_of_onednn(x: Tensor, weight: Tensor) -> int:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        linear_map(x, weight, None)
    return sum(event.name == "mkldnn::_linear_pointwise" for event in profile.events())


@needs_onednn
@settings(deadline=None)
@given(
    rows=st.lists(st.integers(1, 40), min_size=1, max_size=2),
    inputs=st.integers(1, 70),
    outputs=st.integers(1, 70),
    has_bias=st.booleans(),
    strided=st.booleans(),
    seed=st.integers(0, 99),
)
def test_both_libraries_give_the_same(
    rows: list[int], inputs: int, outputs: int, has_bias: bool, strided: bool, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(*rows, 2 * inputs if strided else inputs, generator=generator)
    x = x[..., ::2] if strided else x
    weight = torch.randn(outputs, inputs, generator=generator)
    bias = torch.randn(outputs, generator=generator) if has_bias else None

    with torch.inference_mode(), pytest.MonkeyPatch.context() as patch:
        as_on(patch, "AMD")
        onednn_is_faster.cache_clear()
        found = linear_map(x, weight, bias)

    expected = functional.linear(x, weight, bias)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-5)


@needs_onednn
@pytest.mark.parametrize(
    ("vendor", "capability", "dtype", "rows", "grad", "calls"),
    [
        ("AMD", "AVX512", torch.float32, 8, False, 1),
        ("other", "AVX512", torch.float32, 8, False, 0),
        ("AMD", "AVX2", torch.float32, 8, False, 0),
        ("AMD", "AVX512", torch.bfloat16, 8, False, 0),
        ("AMD", "AVX512", torch.float32, 1, False, 0),
        ("AMD", "AVX512", torch.float32, 8, True, 0),
    ],
)
def test_onednn_is_for_single_precision_on_wide_amd_cpus(
    monkeypatch: pytest.MonkeyPatch,
    vendor: str, capability: str, dtype: torch.dtype, rows: int, grad: bool, calls: int,
) -> None:  # fmt: skip
    as_on(monkeypatch, vendor, capability)
    x, weight = torch.randn(rows, 4).to(dtype), torch.randn(3, 4).to(dtype)

    with torch.set_grad_enabled(grad):
        assert calls_of_onednn(x, weight) == calls


def test_replaced_modules_share_their_weights_and_pass_gradients_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    as_on(monkeypatch, "AMD")
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.GELU(), nn.Linear(4, 2, bias=False)))
    first, names = model[0].weight, list(model.state_dict())
    x = torch.randn(8, 4, requires_grad=True)
    before = model(x).detach()

    replace_linear(model, nn.Linear, InferenceLinear)
    after = model(x)
    after.sum().backward()

    assert isinstance(model[0], InferenceLinear)
    assert isinstance(model[1][1], InferenceLinear)
    assert model[0].weight is first
    assert list(model.state_dict()) == names
    assert torch.equal(after, before)
    assert x.grad is not None
    with torch.no_grad():
        first.zero_()
        model[0].bias.zero_()
        assert (model(x) == 0).all(), "merging adapters into the weights is heard of"
