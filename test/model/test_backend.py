"""Backends: each composes as exactly as its numbers allow, and none changes answers by much.

Pins: half precision against PEFT in float32 (largest difference 2e-2 of the largest feature),
exact tails (1e-4) on the tokens of an 8-bit trunk, and errors. Leaves open: speed, and what a
backend costs in mean AP (docs/decisions/).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel

from helpers.tiny import (
    FAMILIES,
    AdapterSpec,
    random_pixels,
    targets_of,
    tiny_backbone_folder,
    whole_feature,
    write_tiny_adapter,
)
from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.adapter import read_adapter
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.backend import BACKENDS, Backend, use_backend
from polymorph_ros.model.bank import AdapterBank
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.model.tails import ComposedTails


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("backend", ["float16", "bfloat16"])
def test_half_precision_is_near_peft_in_single(
    backbone_folders: dict[str, Path], tmp_path: Path, family: str, backend: Backend
) -> None:
    spec = AdapterSpec(targets=targets_of(family), rank=4)
    folder = write_tiny_adapter(tmp_path / "adapter", backbone_folders[family], 2, spec)
    backbone = load_backbone(backbone_folders[family])
    adapter = read_adapter(folder, backbone, 2)
    use_backend(backbone, 2, backend)
    bank = AdapterBank([adapter], 2, "cpu", backbone.dtype)
    with torch.inference_mode():
        tokens = backbone.trunk(random_pixels(), 2)

        feature = ComposedTails(backbone, 2)(tokens, bank.select([0]))[0]

        plain = PeftModel.from_pretrained(load_backbone(backbone_folders[family]).model, folder)
        expected = whole_feature(plain.eval(), random_pixels())[0]
    assert feature.dtype == tokens.dtype == getattr(torch, backend)
    largest = max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(feature.float(), expected, rtol=0, atol=2e-2 * largest)


@pytest.mark.parametrize("family", FAMILIES)
def test_tails_are_exact_on_the_tokens_of_an_8_bit_trunk(
    backbone_folders: dict[str, Path], tmp_path: Path, family: str
) -> None:
    spec = AdapterSpec(targets=targets_of(family), rank=4)
    folder = write_tiny_adapter(tmp_path / "adapter", backbone_folders[family], 2, spec)
    backbone = load_backbone(backbone_folders[family])
    adapter = read_adapter(folder, backbone, 2)
    with torch.inference_mode():
        exact = backbone.trunk(random_pixels(), 2)
        use_backend(backbone, 2, "int8_trunk")
        tokens = backbone.trunk(random_pixels(), 2)

        feature = ComposedTails(backbone, 2)(tokens, AdapterBank([adapter], 2, "cpu").select([0]))

        PeftModel.from_pretrained(backbone.model, folder).eval()
        torch.testing.assert_close(feature, backbone.tail(tokens, 2), rtol=0, atol=1e-4)
    assert 0 < (tokens - exact).norm() < 0.1 * exact.norm()


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_answers_nearly_the_same(tmp_path: Path, backend: Backend) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle")
    image = np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)

    answers = []
    for each in ("float32", backend):
        model = PolymorphModel.from_bundle(bundle, "cpu", each)
        tokens = model.trunk(model.preprocess(image))
        answers.append([*model.scout(tokens), *model.tails(tokens, (0, 1))])

    for plain, other in zip(*answers, strict=True):
        assert other.dtype == np.float32
        np.testing.assert_allclose(plain, other, rtol=0, atol=0.1)


def test_an_unknown_backend_is_refused(tmp_path: Path) -> None:
    backbone = load_backbone(tiny_backbone_folder(tmp_path))

    with pytest.raises(PolymorphError, match="float32, bfloat16, float16, int8_trunk, found int4"):
        use_backend(backbone, 1, "int4")  # type: ignore[arg-type]
