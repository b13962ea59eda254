"""Slots of fixed places: whatever adapters fill them, they answer as the adapters themselves.

Pins: unlike ranks, targets and numbers of labels, filled again and again without moving; and on a
GPU recorded trunk and tails, changes of the active set without recording anew, and uploads.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.tiny import AdapterSpec, random_pixels, tiny_backbone, write_tiny_adapter
from polymorph_ros.model.adapter import AdapterWeights, read_adapter
from polymorph_ros.model.backbone import Backbone
from polymorph_ros.model.bank import AdapterBank
from polymorph_ros.model.gpu import PinnedUpload, RecordedRun, RecordedTails
from polymorph_ros.model.slots import Slots
from polymorph_ros.model.tails import ComposedTails

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
TAIL_BLOCKS = 2
SPECS = (
    AdapterSpec(rank=1, targets=("q", "v"), labels=2, seed=1),
    AdapterSpec(rank=6, targets=("q", "k", "v", "o", "fc1", "fc2"), labels=5, seed=2),
    AdapterSpec(rank=3, targets=("k", "fc1"), labels=1, seed=3),
)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Backbone, list[AdapterWeights]]:
    root = tmp_path_factory.mktemp("slots")
    backbone = tiny_backbone(root / "backbone")
    folders = [
        write_tiny_adapter(root / str(i), root / "backbone", TAIL_BLOCKS, spec)
        for i, spec in enumerate(SPECS)
    ]
    return backbone, [read_adapter(folder, backbone, TAIL_BLOCKS) for folder in folders]


def test_slots_answer_as_the_adapters_that_fill_them(
    parts: tuple[Backbone, list[AdapterWeights]],
) -> None:
    backbone, adapters = parts
    bank = AdapterBank(adapters, TAIL_BLOCKS, "cpu")
    tails = ComposedTails(backbone, TAIL_BLOCKS)
    slots = Slots(bank.adapters, TAIL_BLOCKS, 2)
    places = [head.weight.data_ptr() for head in slots.selection.heads]
    with torch.inference_mode():
        tokens = backbone.trunk(random_pixels(), TAIL_BLOCKS)
        for active in ([0, 1], [1, 2], [2, 0], [1, 0]):
            slots.fill([bank.adapter(index) for index in active])

            found = slots.selection.logits(tails(tokens, slots.selection))

            chosen = bank.select(active)
            expected = chosen.logits(tails(tokens, chosen))
            for padded, row in zip(found, expected, strict=True):
                torch.testing.assert_close(padded[: len(row)], row, rtol=0, atol=1e-5)
                assert (padded[len(row) :] == 0).all()
    assert [head.weight.data_ptr() for head in slots.selection.heads] == places


@needs_gpu
def test_recorded_tails_answer_as_computed_ones_whichever_adapters_are_active(
    tmp_path: Path,
) -> None:
    backbone = tiny_backbone(tmp_path / "backbone")
    folders = [
        write_tiny_adapter(tmp_path / str(i), tmp_path / "backbone", TAIL_BLOCKS, spec)
        for i, spec in enumerate(SPECS)
    ]
    adapters = [read_adapter(folder, backbone, TAIL_BLOCKS) for folder in folders]
    backbone.to("cuda")
    bank = AdapterBank(adapters, TAIL_BLOCKS, "cuda")
    tails = ComposedTails(backbone, TAIL_BLOCKS)
    with torch.inference_mode():
        pixels = random_pixels().cuda()
        recorded = RecordedTails(tails, bank, TAIL_BLOCKS)
        trunk = RecordedRun(lambda x: backbone.trunk(x, TAIL_BLOCKS), pixels)
        for active in ([0, 1], [1, 2], [2], [0, 1, 2], [2, 0]):
            tokens = backbone.trunk(pixels, TAIL_BLOCKS)

            found = [row.clone() for row in recorded(trunk(pixels), active)]

            chosen = bank.select(active)
            expected = chosen.logits(tails(tokens, chosen))
            for one, other in zip(found, expected, strict=True):
                torch.testing.assert_close(one, other, rtol=0, atol=1e-3)


@needs_gpu
def test_uploads_arrive_whole_one_after_another() -> None:
    upload = PinnedUpload(torch.device("cuda"))
    pictures = [
        torch.from_numpy(np.random.default_rng(i).integers(0, 256, shape, dtype=np.uint8))
        for i, shape in enumerate([(1, 64, 48, 3), (1, 64, 48, 3), (1, 32, 48, 3)])
    ]

    uploaded = [upload(picture) for picture in pictures]

    for picture, there in zip(pictures, uploaded, strict=True):
        assert torch.equal(there.cpu(), picture)
