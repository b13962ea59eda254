"""Packed adapters: what is written is read back as near as the type allows, and says what it is.

Pins: rounding of at most half a step, errors by name, which types PEFT still opens, sizes, and
that everything but the adapters stays byte for byte. Leaves open: what packing costs in mean AP,
which `polymorph bundle pack` reports.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PeftModel
from safetensors.torch import load_file, save_file

from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.bundle.manifest import AdapterType
from polymorph_ros.bundle.reader import Bundle, read_bundle
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.pack import adapter_bytes, pack_bundle
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.model.quantised import quantised, restored
from polymorph_ros.model.tensor_file import read_tensors

HERE = Path("packed.safetensors")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "whole")


@given(rows=st.integers(1, 20), columns=st.integers(1, 20), seed=st.integers(0, 99))
@settings(deadline=None)
def test_8_bit_weights_come_back_within_half_a_step(rows: int, columns: int, seed: int) -> None:
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    matrix[0] = 0.0

    packed = quantised("w", matrix)

    again = restored(packed, HERE)
    assert packed["w"].dtype == torch.int8
    assert packed["w.scale"].numel() == min(rows, columns)
    assert set(again) == {"w"}
    assert ((again["w"] - matrix).abs() <= packed["w.scale"] * 0.501).all()


@pytest.mark.parametrize(
    ("scale", "found"),
    [
        (None, "none"),
        (torch.ones(3), r"torch.float32 of shape \(3,\)"),
        (torch.full((2, 1), float("nan")), r"torch.float32 of shape \(2, 1\)"),
    ],
)
def test_8_bit_weights_without_fitting_scales_are_refused(
    tmp_path: Path, scale: torch.Tensor | None, found: str
) -> None:
    tensors = {"w": torch.ones(2, 3, dtype=torch.int8)}
    save_file(tensors | ({} if scale is None else {"w.scale": scale}), tmp_path / "f.safetensors")

    with pytest.raises(
        PolymorphError, match=rf"f.safetensors: .*w.scale .*\(2, 3\), found {found}"
    ):
        read_tensors(tmp_path / "f.safetensors")


@pytest.mark.parametrize(("kind", "tolerance"), [("float16", 1e-3), ("int8", 3e-2)])
def test_a_packed_bundle_answers_nearly_the_same(
    bundle: Bundle, tmp_path: Path, kind: AdapterType, tolerance: float
) -> None:
    packed = pack_bundle(bundle, kind, tmp_path / "packed")

    assert read_bundle(tmp_path / "packed").manifest.adapter_type == kind
    before, after = (PolymorphModel.from_bundle(each, "cpu") for each in (bundle, packed))
    tokens = before.run_trunk_once()
    for one, other in zip(before.tails(tokens, (0, 1)), after.tails(tokens, (0, 1)), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)


def test_everything_but_the_adapters_stays(bundle: Bundle, tmp_path: Path) -> None:
    packed = pack_bundle(bundle, "int8", tmp_path / "packed")

    same = {entry.path: entry.sha256 for entry in bundle.manifest.files}
    changed = {e.path for e in packed.manifest.files if same.pop(e.path) != e.sha256}
    assert not same
    assert {Path(path).name for path in changed} == {
        "adapter_model.safetensors",
        "head.safetensors",
    }


def test_smaller_types_take_fewer_bytes(bundle: Bundle, tmp_path: Path) -> None:
    half = pack_bundle(bundle, "float16", tmp_path / "half")
    eight = pack_bundle(bundle, "int8", tmp_path / "eight")

    name = f"{bundle.manifest.contexts[0].folder}/adapter_model.safetensors"
    sizes = [
        sum(tensor.nbytes for tensor in load_file(each.path / name).values())
        for each in (bundle, half, eight)
    ]
    assert sizes[1] == sizes[0] / 2
    assert sizes[2] < 0.4 * sizes[0]
    assert adapter_bytes(half) < adapter_bytes(bundle)


def test_peft_opens_half_precision_adapters(bundle: Bundle, tmp_path: Path) -> None:
    packed = pack_bundle(bundle, "float16", tmp_path / "packed")
    backbone = load_backbone(packed.backbone_location)

    model = PeftModel.from_pretrained(backbone.model, packed.adapter_folder(0))

    stored = load_file(packed.adapter_folder(0) / "adapter_model.safetensors")
    loaded = dict(model.named_parameters())
    for name, tensor in stored.items():
        there = loaded[name.replace(".weight", ".default.weight")]
        torch.testing.assert_close(there, tensor.float())
