"""EfficientNet-Lite0 with its real weights equals the same network exported to ONNX.

Pins: the features of the frozen network, and with them padding, folded batch norms and layout, to
1e-4. Needs the weights and the ONNX file in ``../shared/models``, and ONNX Runtime.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.efficientnet_lite import EfficientNetLiteConfig

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
