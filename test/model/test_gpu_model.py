"""On a real GPU: the captured forward gives the CPU's answers and PEFT's, in every precision.

Pins: all families in float32 (without TF32), float16 and bfloat16, against PEFT on the same GPU and
the plain forward on the CPU; sets of adapters that change, of any size and order; pinned uploads
that follow each other closely; that a model with captures can be given back. Leaves open: speed.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor

from helpers.gpu import NEEDS_GPU, whole_float32
from helpers.tiny import (
    FAMILIES,
    AdapterSpec,
    random_pixels,
    unlike_specs,
    whole_feature,
    write_tiny_adapter,
)
from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.energy.meter import open_meter
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.model.adapter import read_adapter
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.backend import Backend, use_backend
from polymorph_ros.model.bank import AdapterBank
from polymorph_ros.model.cuda_graphs import MOST_SIDE_BY_SIDE, GraphedModel
from polymorph_ros.model.gpu import PinnedUpload, choose_device
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.model.tails import ComposedTails

pytestmark = NEEDS_GPU

DEVICE = "cuda"
TAIL_BLOCKS = 2
# Of the largest logit. Random adapters are strong: PEFT itself is as far off in half precision.
TOLERANCES: dict[Backend, float] = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    with whole_float32():
        yield


def captured(folder: Path, adapter_folders: list[Path], backend: Backend) -> GraphedModel:
    backbone = load_backbone(folder)
    adapters = [read_adapter(path, backbone, TAIL_BLOCKS) for path in adapter_folders]
    use_backend(backbone.to(DEVICE), TAIL_BLOCKS, backend)
    bank = AdapterBank(adapters, TAIL_BLOCKS, DEVICE, backbone.dtype)
    tails = ComposedTails(backbone, TAIL_BLOCKS)
    pixels = random_pixels(seed=9).to(DEVICE)
    with torch.inference_mode():
        return GraphedModel(backbone, tails, bank, TAIL_BLOCKS, "all", pixels)


def answers(graphs: GraphedModel, pixels: Tensor, active: list[int]) -> list[Tensor]:
    with torch.inference_mode():
        tokens = graphs.trunk(pixels.to(DEVICE))
        return [row.float().cpu().clone() for row in graphs.tails(tokens, active)]


def by_peft(folder: Path, adapter_folder: Path, pixels: Tensor, device: str) -> Tensor:
    """Logits (labels,) of PEFT's own model, single precision."""
    model = PeftModel.from_pretrained(load_backbone(folder).model, adapter_folder)
    head = load_file(adapter_folder / "head.safetensors")
    with torch.inference_mode():
        feature = whole_feature(model.to(device).eval(), pixels.to(device))[0].cpu()
    return head["weight"] @ feature + head["bias"]


@pytest.mark.parametrize("backend", list(TOLERANCES))
@pytest.mark.parametrize("family", FAMILIES)
def test_captured_answers_are_pefts_on_the_gpu_and_on_the_cpu(
    backbone_folders: dict[str, Path], tmp_path: Path, family: str, backend: Backend
) -> None:
    folder = backbone_folders[family]
    adapters = [
        write_tiny_adapter(tmp_path / str(i), folder, TAIL_BLOCKS, spec)
        for i, spec in enumerate(unlike_specs(family))
    ]
    pixels = random_pixels(seed=4)
    graphs = captured(folder, adapters, backend)
    expected = {
        device: [by_peft(folder, adapter, pixels, device) for adapter in adapters]
        for device in (("cpu", DEVICE) if backend == "float32" else (DEVICE,))
    }
    for active in ([0, 1, 2], [2, 0], [1], [2, 1, 0], [1]):
        found = answers(graphs, pixels, active)

        for device, rows in expected.items():
            largest = max(float(row.abs().max()) for row in rows)
            for row, index in zip(found, active, strict=True):
                worst = float((row - rows[index]).abs().max()) / max(1.0, largest)
                assert worst <= TOLERANCES[backend], f"{worst:.1e} from PEFT on {device}"


def test_any_set_of_adapters_in_any_order_answers_as_each_alone(
    backbone_folders: dict[str, Path], tmp_path: Path
) -> None:
    folder, rng = backbone_folders["vit"], np.random.default_rng(0)
    specs = [AdapterSpec(rank=1 + i % 5, labels=1 + i % 4, seed=i) for i in range(8)]
    written = [
        write_tiny_adapter(tmp_path / str(i), folder, TAIL_BLOCKS, spec)
        for i, spec in enumerate(specs)
    ]
    count = MOST_SIDE_BY_SIDE + 9
    graphs = captured(folder, [written[i % 8] for i in range(count)], "float32")
    pixels = random_pixels(seed=5)
    alone = [answers(graphs, pixels, [index])[0] for index in range(count)]
    for size in [*rng.integers(1, count + 1, 60).tolist(), count, 1, MOST_SIDE_BY_SIDE]:
        active = rng.permutation(count)[:size].tolist()

        found = answers(graphs, pixels, active)

        for row, index in zip(found, active, strict=True):
            torch.testing.assert_close(row, alone[index], rtol=0, atol=1e-4)


def test_uploads_that_follow_each_other_closely_arrive_whole() -> None:
    device = torch.device(DEVICE)
    upload, rng = PinnedUpload(device), np.random.default_rng(1)
    busy = torch.ones(4096, 4096, device=device)
    images = [torch.from_numpy(rng.integers(0, 256, (1, 480, 640, 3), np.uint8)) for _ in range(40)]
    there = []
    for image in images:
        busy @ busy  # the copy waits its turn behind this, and the next upload must wait for it
        there.append(upload(image))
    for image, found in zip(images, there, strict=True):
        assert torch.equal(found.cpu(), image)


def test_pixels_are_the_cpus_to_a_grey_level(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    models = [PolymorphModel.from_bundle(bundle, device) for device in ("cpu", DEVICE)]
    rng = np.random.default_rng(2)
    pictures = [
        rng.integers(0, 256, (height, width, 3), np.uint8)
        for height, width in ((480, 640), (32, 32), (1080, 1920), (480, 640))
    ]
    pictures.append(np.ascontiguousarray(pictures[0])[..., ::-1])  # BGR seen as RGB
    for picture in pictures:
        on_cpu, on_gpu = (model.preprocess(picture).cpu() for model in models)

        assert float((on_cpu - on_gpu).abs().max()) <= 1.6 / 255 / 0.5


def test_a_model_is_captured_whole_and_gives_its_memory_back(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny", scout_adapter=True)
    held = []
    for _ in range(4):
        model = PolymorphModel.from_bundle(bundle, DEVICE)
        model.warm()
        assert model._graphs is not None, "the log says why there are no CUDA graphs"
        del model
        gc.collect()
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        held.append(torch.cuda.memory_reserved())
    assert held[3] == held[1], f"bytes after each model: {held}"


def test_the_gpu_is_chosen_by_name() -> None:
    assert choose_device("auto").type == "cuda"
    assert choose_device("cuda").type == "cuda"
    assert choose_device("cuda:0") == torch.device("cuda:0")


def test_nvml_counts_the_joules_of_work() -> None:
    pytest.importorskip("zeus", reason="Zeus reads NVML")
    meter = open_meter("nvml", device="cuda")
    try:
        before = meter.read()
        busy = torch.ones(4096, 4096, device=DEVICE)
        for _ in range(400):
            busy = (busy @ busy).clamp(max=1.0)
        torch.cuda.synchronize()
        spent = meter.read() - before
    finally:
        meter.close()
    assert meter.source is EnergySource.NVML
    assert spent > 0
