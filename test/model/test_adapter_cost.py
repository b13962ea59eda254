"""Pins what adapters cost beside each other, counted from their shapes.

Open: how many seconds a multiply-add takes on some machine.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from helpers.tiny import AdapterSpec, tiny_backbone, write_tiny_adapter
from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.meter import open_meter
from polymorph_ros.model.adapter import AdapterWeights, read_adapter
from polymorph_ros.model.adapter_cost import relative_costs
from polymorph_ros.model.backbone import Backbone
from polymorph_ros.model.bank import AdapterBank
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.model.tails import ComposedTails
from polymorph_ros.runtime.engine import Engine

TAIL_BLOCKS = 2
SPECS = [
    AdapterSpec(rank=1, targets=("q",), labels=2),
    AdapterSpec(rank=1, targets=("q", "v"), labels=2),
    AdapterSpec(rank=4, targets=("q", "v"), labels=2),
    AdapterSpec(rank=4, targets=("q", "v"), labels=9),
]

Parts = tuple[Backbone, list[AdapterWeights]]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    root = tmp_path_factory.mktemp("costs")
    backbone = tiny_backbone(root / "backbone")
    folders = [
        write_tiny_adapter(root / str(i), root / "backbone", TAIL_BLOCKS, spec)
        for i, spec in enumerate(SPECS)
    ]
    return backbone, [read_adapter(folder, backbone, TAIL_BLOCKS) for folder in folders]


def costs(parts: Parts, which: list[int], tokens: int = 17) -> NDArray[np.float64]:
    backbone, adapters = parts
    bank = AdapterBank([adapters[index] for index in which], TAIL_BLOCKS, "cpu")
    return relative_costs(ComposedTails(backbone, TAIL_BLOCKS).work(tokens), bank.adapters)


def test_more_targets_more_rank_and_more_labels_cost_more(parts: Parts) -> None:
    assert (np.diff(costs(parts, [0, 1, 2, 3])) > 0).all()


def test_adapters_of_one_shape_cost_one(parts: Parts) -> None:
    assert costs(parts, [2, 2, 2]).tolist() == [1.0, 1.0, 1.0]


@given(st.permutations(range(len(SPECS))), st.integers(1, 300))
def test_costs_follow_the_adapters_and_average_one(parts: Parts, order, tokens: int) -> None:
    straight, turned = costs(parts, [0, 1, 2, 3], tokens), costs(parts, order, tokens)

    assert turned == pytest.approx(straight[list(order)])
    assert straight.mean() == pytest.approx(1.0)
    assert (straight > 0).all()


def test_a_low_rank_map_counts_beside_the_tails_own(parts: Parts) -> None:
    backbone, _ = parts
    size = {t: m.inputs * m.outputs for (b, t), m in backbone.network.lora_maps.items() if b == 3}
    dim = backbone.hidden_size
    # the first block on 17 tokens without q, k, v; the last on one; 2 labels
    own = 17 * sum(size[name] for name in ("o", "fc1", "fc2")) + sum(size.values()) + 2 * dim
    rank_one, rank_four = (own + 18 * 2 * rank * 2 * dim for rank in (1, 4))

    found = costs(parts, [1, 2])

    assert found[1] / found[0] == pytest.approx(rank_four / rank_one)


def test_the_engine_chooses_by_its_models_costs(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    model = PolymorphModel.from_bundle(bundle, "cpu")

    engine = Engine(model, bundle.manifest, EnergyLedger(open_meter("none")))

    assert engine._knowledge.costs is model.costs
    assert model.costs[0] > 1.0 > model.costs[1]  # four labels and three
