"""EfficientNet-Lite0 with its real weights equals the same network exported to ONNX.

Pins: the features of the frozen network, and with them padding, folded batch norms and layout, to
1e-4; and that networks of other widths and depths load and compute the same as their own modules.
The first needs the weights and the ONNX file in ``../shared/models``, and ONNX Runtime.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from helpers.tiny import random_pixels
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.efficientnet_lite import EfficientNetLiteConfig, EfficientNetLiteModel

_NAME = "efficientnet_lite0"
_PLACES = [folder / "shared/models" for folder in Path(__file__).resolve().parents]
_SHARED = next((folder for folder in _PLACES if folder.is_dir()), _PLACES[0])
needs_files = pytest.mark.skipif(
    not all((_SHARED / f"{_NAME}.{kind}").is_file() for kind in ("onnx", "safetensors")),
    reason=f"no {_NAME} in {_SHARED}",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    EfficientNetLiteConfig().save_pretrained(tmp_path)
    shutil.copyfile(_SHARED / f"{_NAME}.safetensors", tmp_path / "model.safetensors")
    return tmp_path


@needs_files
@pytest.mark.parametrize("tail_blocks", [1, 3, 16])
def test_trunk_and_tail_equal_the_exported_network(folder: Path, tail_blocks: int) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    session = onnxruntime.InferenceSession(str(_SHARED / f"{_NAME}.onnx"))
    pixels = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    backbone = load_backbone(folder)
    normalised = (pixels * 255 - 127) / 128

    with torch.inference_mode():
        frozen = backbone.feature(normalised)
        tail = backbone.tail(backbone.trunk(normalised, tail_blocks), tail_blocks)

    (grid,) = session.run(["features"], {"pixels": pixels.numpy()})
    expected = torch.from_numpy(grid).mean(dim=(2, 3))
    assert expected.shape == (2, backbone.hidden_size)
    torch.testing.assert_close(frozen, expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(tail, expected, rtol=0, atol=1e-4)


def test_scaled_by_one_it_is_lite0() -> None:
    assert EfficientNetLiteConfig.scaled(1.0, 1.0).stages == EfficientNetLiteConfig().stages


def test_a_wider_network_has_the_published_measures() -> None:
    lite4 = EfficientNetLiteConfig.scaled(1.4, 1.8)  # of the model garden

    assert [stage[0] for stage in lite4.stages] == [1, 4, 4, 6, 6, 8, 1]
    assert [stage[5] for stage in lite4.stages] == [24, 32, 56, 112, 160, 272, 448]
    assert lite4.stages[0][4] == 32


@pytest.mark.parametrize(("width", "depth"), [(0.1, 0.3), (0.35, 1.0), (1.1, 1.2)])
def test_a_scaled_network_computes_what_its_modules_do(
    width: float, depth: float, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = EfficientNetLiteModel(EfficientNetLiteConfig.scaled(width, depth, head=40)).eval()
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(norm.running_mean, std=0.1)
            torch.nn.init.uniform_(norm.running_var, 0.5, 1.5)
    model.save_pretrained(tmp_path)
    pixels = random_pixels(2, 64)

    backbone = load_backbone(tmp_path)

    with torch.inference_mode():
        expected = model(pixels).pooler_output
        tail = backbone.tail(backbone.trunk(pixels, 3), 3)
        torch.testing.assert_close(backbone.feature(pixels), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(tail, expected, rtol=1e-4, atol=1e-4)
