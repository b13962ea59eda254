"""Adapters in one stack, and trunk and tails as captured computations: they answer as without.

Pins: unlike ranks, targets and numbers of labels in one stack; that the stack is where the bank's
adapters are; changes of the active set without capture anew; more adapters than run side by
side; uploads. Without a GPU a capture computes anew each time, in the same fixed places: all but
CUDA graphs and pinned memory is tested everywhere. On a GPU: the graphs themselves, that nothing
waits for the GPU, and that its memory does not grow.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from helpers.gpu import DEVICES, NEEDS_GPU
from helpers.tiny import (
    FAMILIES,
    random_pixels,
    tiny_backbone,
    unlike_specs,
    write_tiny_adapter,
)
from polymorph_ros.model.adapter import AdapterWeights, read_adapter
from polymorph_ros.model.backbone import Backbone, load_backbone
from polymorph_ros.model.bank import AdapterBank
from polymorph_ros.model.cuda_graphs import MOST_SIDE_BY_SIDE, GraphedModel
from polymorph_ros.model.gpu import GraphedRun, PinnedUpload
from polymorph_ros.model.stack import AdapterStack
from polymorph_ros.model.tails import ComposedTails

devices = pytest.mark.parametrize("device", DEVICES)
TAIL_BLOCKS = 2
CHOICES = ([0, 1], [1, 2], [2], [0, 1, 2], [2, 0], [1])


def adapters_of(
    root: Path, backbone_folder: Path, backbone: Backbone, family: str = "vit"
) -> list[AdapterWeights]:
    folders = [
        write_tiny_adapter(root / str(i), backbone_folder, TAIL_BLOCKS, spec)
        for i, spec in enumerate(unlike_specs(family))
    ]
    return [read_adapter(folder, backbone, TAIL_BLOCKS) for folder in folders]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[AdapterWeights]]:
    """The folder of a tiny ViT and three adapters."""
    root = tmp_path_factory.mktemp("captured")
    backbone = tiny_backbone(root / "backbone")
    return root / "backbone", adapters_of(root, root / "backbone", backbone)


@pytest.fixture(scope="module")
def many(
    parts: tuple[Path, list[AdapterWeights]],
) -> dict[str, tuple[GraphedModel, list[Tensor]]]:
    """For each device nine adapters, and the answer of each alone without captures."""
    found = {}
    for device in ["cpu", *["cuda"] * torch.cuda.is_available()]:
        backbone = load_backbone(parts[0]).to(device)
        bank = AdapterBank(parts[1] * 3, TAIL_BLOCKS, device)
        with torch.inference_mode():
            alone = [plain_logits(backbone, bank, [index])[0].clone() for index in range(9)]
            found[device] = graphed_model(backbone, bank), alone
    return found


def graphed_model(backbone: Backbone, bank: AdapterBank) -> GraphedModel:
    tails = ComposedTails(backbone, TAIL_BLOCKS)
    pixels = random_pixels(seed=9).to(backbone.device)
    return GraphedModel(backbone, tails, bank, TAIL_BLOCKS, "all", pixels)


def plain_logits(backbone: Backbone, bank: AdapterBank, active: list[int]) -> list[Tensor]:
    tokens = backbone.trunk(random_pixels().to(backbone.device), TAIL_BLOCKS)
    chosen = bank.select(active)
    return chosen.logits(ComposedTails(backbone, TAIL_BLOCKS)(tokens, chosen))


@pytest.mark.parametrize("family", FAMILIES)
def test_adapters_of_a_stack_answer_as_the_adapters_themselves(
    backbone_folders: dict[str, Path], tmp_path: Path, family: str
) -> None:
    backbone = load_backbone(backbone_folders[family])
    adapters = adapters_of(tmp_path, backbone_folders[family], backbone, family)
    bank = AdapterBank(adapters, TAIL_BLOCKS, "cpu")
    stack = AdapterStack(bank.adapters, TAIL_BLOCKS)
    with torch.inference_mode():
        tokens = backbone.trunk(random_pixels(), TAIL_BLOCKS)
        for active in CHOICES:
            chosen = stack.gather(torch.tensor(active))

            found = chosen.logits(ComposedTails(backbone, TAIL_BLOCKS)(tokens, chosen))

            expected = plain_logits(backbone, bank, active)
            for padded, row in zip(found, expected, strict=True):
                torch.testing.assert_close(padded[: len(row)], row, rtol=0, atol=1e-5)
                assert (padded[len(row) :] == 0).all()


def test_more_adapters_than_an_mlp_takes_in_one_go_answer_as_themselves(
    parts: tuple[Path, list[AdapterWeights]],
) -> None:
    backbone = load_backbone(parts[0])
    bank = AdapterBank(parts[1] * 3, TAIL_BLOCKS, "cpu")
    active = list(range(9))
    with torch.inference_mode():
        chosen = AdapterStack(bank.adapters, TAIL_BLOCKS).gather(torch.tensor(active))
        tokens = backbone.trunk(random_pixels(), TAIL_BLOCKS)

        found = ComposedTails(backbone, TAIL_BLOCKS)(tokens, chosen)

        expected = ComposedTails(backbone, TAIL_BLOCKS)(tokens, bank.select(active))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@devices
def test_recorded_trunk_and_tails_answer_as_computed_ones_whichever_adapters_are_active(
    parts: tuple[Path, list[AdapterWeights]], device: str
) -> None:
    backbone = load_backbone(parts[0]).to(device)
    with torch.inference_mode():
        expected = {
            tuple(active): plain_logits(
                backbone, AdapterBank(parts[1], TAIL_BLOCKS, device), active
            )
            for active in CHOICES
        }
        graphs = graphed_model(backbone, AdapterBank(parts[1], TAIL_BLOCKS, device))
        for active in CHOICES * 2:
            tokens = graphs.trunk(random_pixels().to(device))

            found = graphs.tails(tokens, active)

            for one, other in zip(found, expected[tuple(active)], strict=True):
                torch.testing.assert_close(
                    one, other, rtol=0, atol=1e-3 if device == "cuda" else 1e-5
                )


@devices
def test_more_adapters_than_run_side_by_side_run_in_several_goes(
    parts: tuple[Path, list[AdapterWeights]], device: str
) -> None:
    backbone = load_backbone(parts[0]).to(device)
    adapters = parts[1] * (MOST_SIDE_BY_SIDE // 3 + 2)
    bank = AdapterBank(adapters, TAIL_BLOCKS, device)
    active = list(range(len(bank)))
    assert len(bank) > MOST_SIDE_BY_SIDE
    with torch.inference_mode():
        expected = plain_logits(backbone, bank, active)
        graphs = graphed_model(backbone, bank)

        found = graphs.tails(graphs.trunk(random_pixels().to(device)), active)

    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-3 if device == "cuda" else 1e-5)


def test_the_banks_adapters_move_into_the_stack_and_answer_as_before(
    parts: tuple[Path, list[AdapterWeights]],
) -> None:
    backbone = load_backbone(parts[0])
    bank = AdapterBank(parts[1], TAIL_BLOCKS, "cpu")
    with torch.inference_mode():
        before = plain_logits(backbone, bank, [2, 1])

        graphed_model(backbone, bank)

        after = plain_logits(backbone, bank, [2, 1])
    storages = {
        tensor.untyped_storage().data_ptr()
        for adapter in bank.adapters
        for part in (*adapter.maps.values(), adapter.head)
        for tensor in vars(part).values()
    }
    assert len(storages) == 1
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


@devices
def test_no_capture_writes_where_another_one_reads(
    parts: tuple[Path, list[AdapterWeights]], device: str
) -> None:
    backbone = load_backbone(parts[0]).to(device)
    with torch.inference_mode():
        graphs = graphed_model(backbone, AdapterBank(parts[1] * 3, TAIL_BLOCKS, device))
    runs = [graphs.trunk, *graphs._tails.values()]
    places = {run._output.data_ptr(): run._output for run in runs}
    places |= {place.data_ptr(): place for run in runs for place in run._inputs}
    # One output each, one picture, and an index for each count; the tails read the trunk's output.
    assert len(places) == 2 * len(graphs._tails) + 2
    ends = 0
    for start in sorted(places):
        assert start >= ends, "two places overlap"
        ends = start + places[start].nbytes


@devices
@settings(max_examples=25, deadline=None)
@given(
    sets=st.lists(
        st.lists(st.integers(0, 8), min_size=1, max_size=9, unique=True), min_size=1, max_size=8
    )
)
def test_after_any_other_sets_a_set_answers_as_alone(
    many: dict[str, tuple[GraphedModel, list[Tensor]]], device: str, sets: list[list[int]]
) -> None:
    graphs, alone = many[device]
    with torch.inference_mode():
        tokens = graphs.trunk(random_pixels().to(device))
        for active in sets:
            found = graphs.tails(tokens, active)

            for row, index in zip(found, active, strict=True):
                torch.testing.assert_close(
                    row, alone[index], rtol=0, atol=1e-3 if device == "cuda" else 1e-5
                )


@devices
def test_a_recorded_run_keeps_its_places(device: str) -> None:
    first, second = torch.ones(3, device=device), torch.full((3,), 2.0, device=device)
    run = GraphedRun(lambda x, y: x * y, first, second)

    place = run(first, second).data_ptr()
    other = run(second, second)

    assert other.data_ptr() == place
    assert other.tolist() == [4.0, 4.0, 4.0]


@devices
def test_uploads_arrive_whole_one_after_another(device: str) -> None:
    upload = PinnedUpload(torch.device(device))
    tensors = [
        torch.from_numpy(np.random.default_rng(i).integers(0, 256, shape, dtype=dtype))
        for i, (shape, dtype) in enumerate(
            [
                ((1, 64, 48, 3), np.uint8),
                ((1, 64, 48, 3), np.uint8),
                ((1, 32, 48, 3), np.uint8),
                ((4,), np.int64),
            ]
        )
    ]

    uploaded = [upload(tensor) for tensor in tensors]

    for tensor, there in zip(tensors, uploaded, strict=True):
        assert there.dtype == tensor.dtype and torch.equal(there.cpu(), tensor)


@NEEDS_GPU[0]
@NEEDS_GPU[1]
def test_a_frame_neither_waits_for_the_gpu_nor_takes_more_of_its_memory(
    parts: tuple[Path, list[AdapterWeights]],
) -> None:
    backbone = load_backbone(parts[0]).to("cuda")
    bank = AdapterBank(parts[1], TAIL_BLOCKS, "cuda")
    with torch.inference_mode():
        graphs = graphed_model(backbone, bank)
        pixels = random_pixels().cuda()
        graphs.tails(graphs.trunk(pixels), [0])
        torch.cuda.synchronize()
        before = torch.cuda.memory_reserved()
        torch.cuda.set_sync_debug_mode("error")
        try:
            for active in CHOICES:
                graphs.tails(graphs.trunk(pixels), active)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert torch.cuda.memory_reserved() == before
