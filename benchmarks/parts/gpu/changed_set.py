"""What another choice of active adapters costs, beside the same choice as in the frame before."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from parts.gpu.bench import Bench
from parts.gpu.composition import TAIL_BLOCKS, TINY
from parts.gpu.random_bundle import CONTEXTS, write_random_bundle
from parts.gpu.timing import time_interleaved
from polymorph_ros.bundle.reader import read_bundle
from polymorph_ros.evaluation.composition.synthetic import (
    adapter_name,
    add_adapters,
    make_backbone,
    size_of,
)
from polymorph_ros.model.polymorph import PolymorphModel

_ACTIVE = 4


def measure(bench: Bench) -> None:
    """Tails with the same four adapters, with four others each time, and with other numbers."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = read_bundle(write_random_bundle(Path(folder) / "random", tiny=bench.quick))
        runs: dict[str, Callable[[], object]] = {}
        for name in ("captured", "eager"):
            model = PolymorphModel.from_bundle(bundle, str(bench.device), "bfloat16")
            if name == "captured":
                model.warm()
            runs |= _tails(model, name)
    size = TINY if bench.quick else size_of("ViT-S")
    peft: Any = add_adapters(make_backbone(size, bench.device), TAIL_BLOCKS, CONTEXTS)
    runs["peft_set_adapter"] = partial(_set_another, peft, random.Random(0))
    times = time_interleaved(runs, bench, 0.7 * bench.left_s())
    bench.add({"active": _ACTIVE, "contexts": CONTEXTS, "times": times})
    shown = ", ".join(f"{name} {each['ms']['p50']}" for name, each in times.items())
    bench.say(f"changed set, ms for {_ACTIVE} adapters' tails: {shown}")


def _tails(model: PolymorphModel, name: str) -> dict[str, Callable[[], object]]:
    tokens = model.run_trunk_once().clone()
    chance = random.Random(0)

    def run(*numbers: int) -> object:
        number = chance.choice(numbers)
        return model.tails(tokens, chance.sample(range(CONTEXTS), number))

    return {
        f"{name}_same": partial(model.tails, tokens, range(_ACTIVE)),
        f"{name}_other": partial(run, _ACTIVE),
        f"{name}_other_number": partial(run, _ACTIVE - 1, _ACTIVE, _ACTIVE + 1),
    }


def _set_another(peft: Any, chance: random.Random) -> None:
    with torch.inference_mode(False):
        peft.set_adapter(adapter_name(chance.randrange(CONTEXTS)), inference_mode=True)
