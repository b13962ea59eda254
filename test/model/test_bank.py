"""The adapter bank: choosing other adapters moves and allocates nothing; adapters come and go.

Pins, by counting bytes and comparing addresses, not by the clock: what a change of the active
set costs, what a bank of 200 adapters takes, and that an adapter that is added or replaced
between two frames answers as it would in a fresh bank.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from helpers.tiny import AdapterSpec, random_pixels, tiny_backbone, write_tiny_adapter
from polymorph_ros.model.adapter import AdapterWeights, LowRank, read_adapter
from polymorph_ros.model.backbone import Backbone
from polymorph_ros.model.bank import AdapterBank, Selection
from polymorph_ros.model.tails import ComposedTails

TAIL_BLOCKS = 2
TARGET_SETS = (("q", "v"), ("q", "k", "v", "o", "fc1", "fc2"), ("fc1",), ("k",))
SPECS = [
    AdapterSpec(rank=1 + seed, targets=targets, seed=seed)
    for seed, targets in enumerate(TARGET_SETS)
]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Backbone, list[AdapterWeights]]:
    root = tmp_path_factory.mktemp("bank")
    backbone = tiny_backbone(root / "backbone")
    folders = [
        write_tiny_adapter(root / str(i), root / "backbone", TAIL_BLOCKS, spec)
        for i, spec in enumerate(SPECS)
    ]
    return backbone, [read_adapter(folder, backbone, TAIL_BLOCKS) for folder in folders]


def allocated_by(run: Callable[[], object]) -> int:
    """Bytes of all tensor memory that a computation asks for, whether or not it keeps it."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as account:
        kept = run()
    events = account.profiler.kineto_results.events()
    sizes = [event.nbytes() for event in events if event.name() == "[memory]"]
    del kept
    return sum(size for size in sizes if size > 0)


def addresses(chosen: Selection) -> list[int]:
    maps = [
        change
        for block in chosen.blocks
        for updates in block.values()
        for change in updates.maps
        if change is not None
    ]
    pairs = [tensor for part in (*maps, *chosen.heads) for tensor in vars(part).values()]
    return [tensor.data_ptr() for tensor in pairs]


def features(backbone: Backbone, bank: AdapterBank, active: list[int]) -> Tensor:
    with torch.inference_mode():
        tokens = backbone.trunk(random_pixels(), TAIL_BLOCKS)
        return ComposedTails(backbone, TAIL_BLOCKS)(tokens, bank.select(active))


def test_the_profiler_sees_what_is_allocated() -> None:
    """Without this the counts below could be zero of everything."""
    assert allocated_by(lambda: torch.ones(1000)) >= 4000


def test_another_choice_allocates_no_tensor(
    parts: tuple[Backbone, list[AdapterWeights]],
) -> None:
    bank = AdapterBank(parts[1], TAIL_BLOCKS, "cpu")

    assert allocated_by(lambda: [bank.select(active) for active in ([0], [1, 2], [3, 1, 0])]) == 0


def test_another_choice_uses_the_tensors_where_they_are(
    parts: tuple[Backbone, list[AdapterWeights]],
) -> None:
    bank = AdapterBank(parts[1], TAIL_BLOCKS, "cpu")
    everything = set(addresses(bank.select([0, 1, 2, 3])))

    for active in ([2], [3, 0], [1, 2, 3]):
        assert set(addresses(bank.select(active))) < everything
    assert set(addresses(bank.select([3, 2, 1, 0]))) == everything


def test_a_frame_after_a_change_allocates_no_more_than_the_next(
    parts: tuple[Backbone, list[AdapterWeights]],
) -> None:
    backbone, adapters = parts
    bank = AdapterBank([adapters[1], adapters[1], adapters[1]], TAIL_BLOCKS, "cpu")
    tails = ComposedTails(backbone, TAIL_BLOCKS)
    with torch.inference_mode():
        tokens = backbone.trunk(random_pixels(), TAIL_BLOCKS)
        tails(tokens, bank.select([0, 1]))

        changed = allocated_by(lambda: tails(tokens, bank.select([2, 0])))
        unchanged = allocated_by(lambda: tails(tokens, bank.select([2, 0])))

    assert changed == unchanged > 0


def test_the_same_choice_again_is_the_same_selection(
    parts: tuple[Backbone, list[AdapterWeights]],
) -> None:
    bank = AdapterBank(parts[1], TAIL_BLOCKS, "cpu")

    first = bank.select([2, 0])

    assert bank.select([2, 0]) is first
    assert bank.select([0, 2]) is not first


def test_an_added_adapter_answers_as_in_a_fresh_bank(
    parts: tuple[Backbone, list[AdapterWeights]],
) -> None:
    backbone, adapters = parts
    bank = AdapterBank(adapters[:2], TAIL_BLOCKS, "cpu")
    before = features(backbone, bank, [0, 1])
    places = addresses(bank.select([0, 1]))

    index = bank.add(adapters[2])

    assert index == 2 and len(bank) == 3
    assert set(places) < set(addresses(bank.select([0, 1, 2]))), "the others stay where they are"
    fresh = AdapterBank(adapters[:3], TAIL_BLOCKS, "cpu")
    assert torch.equal(features(backbone, bank, [0, 1]), before)
    assert torch.equal(features(backbone, bank, [2, 0]), features(backbone, fresh, [2, 0]))


def test_a_replaced_adapter_answers_from_the_next_frame_on(
    parts: tuple[Backbone, list[AdapterWeights]],
) -> None:
    backbone, adapters = parts
    bank = AdapterBank(adapters[:2], TAIL_BLOCKS, "cpu")
    before = features(backbone, bank, [0, 1])
    places = addresses(bank.select([0]))

    bank.replace(1, adapters[3])

    assert addresses(bank.select([0])) == places, "the other stays where it is"
    after = features(backbone, bank, [0, 1])
    fresh = AdapterBank([adapters[0], adapters[3]], TAIL_BLOCKS, "cpu")
    assert torch.equal(after, features(backbone, fresh, [0, 1]))
    assert not torch.equal(after[1], before[1])


def test_a_bank_of_200_adapters_takes_the_bytes_of_its_tensors() -> None:
    """Rank 8 on q, v, fc1 and fc2 of the last two blocks of a ViT-S, 8 labels each."""
    dim, rank, labels = 384, 8, 8
    shapes = {"q": (dim, dim), "v": (dim, dim), "fc1": (4 * dim, dim), "fc2": (dim, 4 * dim)}
    numbers = sum(rank * sum(shape) for shape in shapes.values()) * TAIL_BLOCKS + labels * (dim + 1)

    def adapter() -> AdapterWeights:
        updates = {
            (block, target): LowRank(torch.zeros(rank, inputs), torch.zeros(outputs, rank), 2.0)
            for block in range(TAIL_BLOCKS)
            for target, (outputs, inputs) in shapes.items()
        }
        return AdapterWeights(updates, torch.zeros(labels, dim), torch.zeros(labels))

    bank = AdapterBank([adapter() for _ in range(200)], TAIL_BLOCKS, "cpu")

    chosen = bank.select(range(200))
    maps = [u for block in chosen.blocks for updates in block.values() for u in updates.maps]
    tensors = [tensor for part in (*maps, *chosen.heads) for tensor in vars(part).values()]
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    assert sum(storages.values()) <= 1.15 * 200 * 4 * numbers
    assert allocated_by(lambda: bank.select(range(0, 200, 5))) == 0
