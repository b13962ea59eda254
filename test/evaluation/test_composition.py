"""The composition bench: all ways give the same answers, rows have their keys, cells are kept.

Leaves open: the times themselves, which are a benchmark's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import ConvNextConfig

from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.composition.bench import Plan, measure, read_rows, write_rows
from polymorph_ros.evaluation.composition.count import multiply_adds, peak_activation_bytes
from polymorph_ros.evaluation.composition.synthetic import LABELS, Size, size_of, vit
from polymorph_ros.evaluation.composition.ways import METHODS, Ways
from polymorph_ros.model import linear
from polymorph_ros.model.efficientnet_lite import EfficientNetLiteConfig

SMALL = vit(width=24, blocks=3, heads=2, picture=32, patch=8)
LITE = Size(EfficientNetLiteConfig(stages=((1, 3, 1, 1, 8, 16), (3, 5, 2, 6, 16, 24)), head=48), 32)
CONVNEXT = Size(ConvNextConfig(hidden_sizes=[16, 24], depths=[2, 2], num_stages=2), 32)
CPU = torch.device("cpu")
KEYS = {
    "backbone",
    "tail_blocks",
    "active",
    "method",
    "median_s",
    "p95_s",
    "min_s",
    "ratio_to_bare",
    "limit_ratio",
    "peak_bytes",
}
CONDITIONS = {"device", "dtype", "tail_tokens", "threads", "clock", "torch", "date", "load"}


def plan(active: tuple[int, ...], **conditions: Any) -> Plan:
    return Plan({"small": SMALL}, (2,), active, seconds=0.0, rounds=1, device=CPU, **conditions)


@pytest.mark.parametrize("size", [SMALL, LITE, CONVNEXT], ids=["vit", "lite", "convnext"])
@pytest.mark.parametrize("tail_blocks", [1, 2, 3])
def test_all_ways_give_the_same_answers(size: Size, tail_blocks: int) -> None:
    ways = Ways(size, tail_blocks, count=3, separate=3, device=CPU)
    with torch.inference_mode():
        expected = ways.run("peft_sequential", 3)

        for method in METHODS:
            if method != "bare":
                answers = ways.run(method, 3)
                torch.testing.assert_close(answers, expected, rtol=0, atol=1e-4)

    pooled = Ways(size, tail_blocks, count=3, separate=0, device=CPU, tail_tokens="pooled")
    with torch.inference_mode():
        assert (pooled.run("composed", 3) - expected).abs().max() > 1e-3
    assert torch.cdist(expected, expected).fill_diagonal_(1).min() > 1e-3


def test_all_ways_give_the_same_answers_on_the_pictures_of_several_cameras() -> None:
    ways = Ways(SMALL, 2, count=3, separate=3, device=CPU, cameras=2)
    with torch.inference_mode():
        expected = ways.run("peft_sequential", 3)

        for method in METHODS:
            if method != "bare":
                answers = ways.run(method, 3)
                torch.testing.assert_close(answers, expected, rtol=0, atol=1e-4)
    assert expected.shape == (6, LABELS)
    assert torch.cdist(expected, expected).fill_diagonal_(1).min() > 1e-3


def test_rows_are_written_and_finished_cells_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "rows.json"
    first = [row for cell in measure(plan((1,)), [], print) for row in cell]
    write_rows(path, first)

    fresh = [row for cell in measure(plan((1, 2)), read_rows(path), print) for row in cell]

    assert [set(row) for row in json.loads(path.read_text())] == [KEYS | CONDITIONS] * len(METHODS)
    assert read_rows(path) == first
    assert [row.method for row in first] == list(METHODS)
    assert {row.active for row in fresh} == {2}


@pytest.mark.parametrize(
    "changed", [{"clock": "cpu"}, {"dtype": "bfloat16"}, {"tail_tokens": "pooled"}]
)
def test_a_cell_under_other_conditions_is_another_cell(changed: dict[str, Any]) -> None:
    known = [row for cell in measure(plan((1,)), [], print) for row in cell]

    fresh = [row for cell in measure(plan((1,), **changed), known, print) for row in cell]

    assert len(fresh) == len(METHODS)
    for row in fresh:
        assert {name: getattr(row, name) for name in changed} == changed
    assert list(measure(plan((1,), **changed), [*known, *fresh], print)) == []


def test_half_precision_gives_nearly_the_same_answers_by_all_ways() -> None:
    exact = Ways(SMALL, 2, count=3, separate=3, device=CPU)
    half = Ways(SMALL, 2, count=3, separate=3, device=CPU, dtype=torch.bfloat16)
    with torch.inference_mode():
        for method in METHODS:
            answers = half.run(method, 3)

            assert answers.dtype == torch.bfloat16
            expected = exact.run(method, 3)
            torch.testing.assert_close(answers.float(), expected, rtol=0, atol=5e-2)


@pytest.mark.parametrize("size", [LITE, CONVNEXT], ids=["lite", "convnext"])
def test_composed_convolutions_cost_less_than_peft(size: Size) -> None:
    plan = Plan({"small": size}, (2,), (8,), seconds=0.0, rounds=1, device=CPU)

    (cell,) = measure(plan, [], print)

    rows = {row.method: row for row in cell}
    assert rows["separate_models"].limit_ratio == pytest.approx(8, rel=0.01)
    assert rows["composed"].limit_ratio < rows["peft_mixed_batch"].limit_ratio / 1.2


def test_what_is_timed_answers_as_the_method_itself() -> None:
    """On a GPU these are CUDA graphs."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    ways = Ways(SMALL, 2, count=3, separate=3, device=device)
    with torch.inference_mode():
        for method in METHODS:
            for active in (1, 3, 2):
                answers = ways.fastest(method, active)()

                expected = ways.run(method, active)
                torch.testing.assert_close(answers, expected, rtol=0, atol=1e-3)


def test_cpu_time_of_a_gpu_is_refused() -> None:
    with pytest.raises(PolymorphError, match="CPU time of a computation on the CPU, found cuda"):
        Plan({"small": SMALL}, (2,), (1,), 0.0, 1, device=torch.device("cuda"), clock="cpu")


def test_a_row_says_what_was_measured() -> None:
    (cell,) = measure(plan((4,)), [], print)

    rows = {row.method: row for row in cell}
    assert rows["bare"].ratio_to_bare == rows["bare"].limit_ratio == 1.0
    assert rows["separate_models"].limit_ratio == pytest.approx(4, rel=0.01)
    assert 4 < rows["peft_sequential"].limit_ratio < 6
    assert rows["composed"].limit_ratio < rows["peft_sequential"].limit_ratio
    assert (
        rows["bare"].peak_bytes < rows["composed"].peak_bytes < rows["separate_models"].peak_bytes
    )
    for row in cell:
        assert 0 < row.min_s <= row.median_s <= row.p95_s


def test_multiply_adds_are_counted_also_in_place() -> None:
    a, b, c = torch.ones(3, 5), torch.ones(5, 7), torch.zeros(3, 7)
    q = torch.ones(1, 2, 4, 8)

    with torch.inference_mode():
        assert multiply_adds(lambda: c.addmm_(a, b)) == 3 * 5 * 7
        assert multiply_adds(lambda: torch.nn.functional.linear(a, b.T)) == 3 * 5 * 7
        attention = torch.nn.functional.scaled_dot_product_attention
        assert multiply_adds(lambda: attention(q, q, q)) == 2 * 2 * 4 * 4 * 8


@pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this PyTorch is without oneDNN"
)
def test_multiply_adds_are_counted_by_whatever_library(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight = torch.randn(2, 5, 7), torch.randn(3, 7)
    counts = []

    for onednn in (False, True):
        monkeypatch.setattr(linear, "onednn_is_faster", lambda onednn=onednn: onednn)
        with torch.inference_mode():
            counts.append(multiply_adds(lambda: linear.linear_map(x, weight, None)))

    assert counts == [2 * 5 * 7 * 3] * 2


def test_memory_is_counted_at_its_peak() -> None:
    def run() -> torch.Tensor:
        first = torch.ones(1000)
        second = first + 1
        del first
        return second + 1

    assert peak_activation_bytes(run, CPU) == pytest.approx(8000, rel=0.05)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('[{"backbone": 1}]')

    with pytest.raises(PolymorphError, match=r"rows.json: expected rows of this bench"):
        read_rows(path)


def test_an_unknown_backbone_is_refused() -> None:
    with pytest.raises(PolymorphError, match="ViT-Ti, .*-Lite0, ConvNeXt-T, found ViT-X"):
        size_of("ViT-X")


def test_rows_survive_their_file(tmp_path: Path) -> None:
    rows = next(measure(plan((1,)), [], print))

    write_rows(tmp_path / "rows.json", rows)

    assert read_rows(tmp_path / "rows.json") == rows
