"""Where an engine step would wait for a GPU, counted without one.

Pins: a step downloads twice (the scout's scores, which choose the adapters, and their answers),
three times with reuse (the thumbnail), and reads no value of a tensor in any other way. Leaves
open: waits inside PyTorch's own kernels, which only a GPU shows (test_gpu_engine.py).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.bundle.manifest import ReuseEntry, UnknownSceneEntry
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.data.frame import Frame
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.meter import open_meter
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.runtime.engine import Engine
from polymorph_ros.runtime.settings import EngineSettings

FORBIDDEN = {
    "item", "tolist", "__bool__", "__float__", "__int__", "__index__", "__array__", "nonzero",
    "masked_select", "unique", "argwhere", "equal", "allclose",
}  # fmt: skip


class Waits(TorchFunctionMode):
    """Counts downloads, and what reads values of tensors, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", str(func))
        named = {**(kwargs or {})}
        if name == "to" and "cpu" in args:
            name = "to cpu, non-blocking" if named.get("non_blocking") else "cpu"
        if name in FORBIDDEN or name.endswith(("cpu", "cpu, non-blocking")):
            self.found[name] += 1
        return func(*args, **named)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_tiny_bundle(
        tmp_path_factory.mktemp("waits") / "tiny",
        unknown_scene=UnknownSceneEntry(threshold=50.0, false_alarms=0.01),
        reuse=ReuseEntry(difference=2.0, max_age_s=2.0, pace=0.1, agreement=0.9),
        scout_adapter=True,
    )


def step_with_adapters(bundle: Bundle, reuse_s: float) -> Counter[str]:
    """What the first step that runs adapters waits for, of steps on unlike pictures."""
    model = PolymorphModel.from_bundle(bundle, "cpu")
    ledger = EnergyLedger(open_meter("none"))
    engine = Engine(model, bundle.manifest, ledger, EngineSettings(reuse_s=reuse_s))
    rng = np.random.default_rng(0)
    for number in range(1, 20):
        image = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        with Waits() as waits:
            result = engine.step(Frame(image, number * 100_000_000, "front"))
        if result.adapters and not result.reused:
            return waits.found
    raise AssertionError("no step ran an adapter")


@pytest.mark.parametrize(("reuse_s", "downloads"), [(0.0, 2), (1.0, 3)])
def test_a_step_downloads_what_it_decides_by_and_reads_nothing_else(
    bundle: Bundle, reuse_s: float, downloads: int
) -> None:
    found = step_with_adapters(bundle, reuse_s)

    # The distance of the unknown scene is copied ahead and read after the scout's scores came.
    assert found == Counter({"cpu": downloads, "to cpu, non-blocking": 1, "__float__": 1})


def test_every_forbidden_way_is_counted() -> None:
    tensor = torch.ones(1)

    with Waits() as waits:
        tensor.item(), tensor.tolist(), bool(tensor), float(tensor), tensor.nonzero()
        tensor.masked_select(tensor > 0), tensor.cpu(), torch.unique(tensor)

    assert {"item", "tolist", "__bool__", "__float__", "nonzero", "masked_select", "cpu"} <= {
        *waits.found
    }
