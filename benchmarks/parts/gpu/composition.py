"""Many adapters on one picture, and on those of four cameras, beside the captured bare forward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch

from parts.gpu.bench import Bench
from parts.gpu.timing import time_interleaved
from parts.metrics import Results, rounded
from polymorph_ros.evaluation.composition.synthetic import size_of, vit
from polymorph_ros.evaluation.composition.ways import Ways

TAIL_BLOCKS = 2
TINY = vit(width=24, blocks=3, heads=2, picture=32, patch=8)
TARGETS = {8: 1.25, 16: 1.5}  # multiples of the captured bare forward, ViT-S, bfloat16, 1 camera
_ACTIVE, _MOST_SLOW = (1, 2, 4, 8, 16, 32), 16  # more adapters only where they are composed
_SLOW = ("peft_sequential", "peft_mixed_batch", "separate_models")


class Cell(NamedTuple):
    """What is measured with one set of weights."""

    backbone: str
    dtype: str
    cameras: int


MAIN = Cell("ViT-S", "bfloat16", 1)
OTHERS = (
    Cell("ViT-S", "bfloat16", 4),
    Cell("ViT-B", "bfloat16", 1),
    Cell("ViT-Ti", "bfloat16", 1),
    Cell("ViT-S", "float16", 1),
    Cell("ViT-S", "float32", 1),
    Cell("ViT-B", "bfloat16", 4),
    Cell("ViT-Ti", "bfloat16", 4),
)


def measure_main(bench: Bench) -> None:
    """ViT-S in bfloat16 with one camera: what the targets are for."""
    _measure(bench, (MAIN,))
    for row in bench.results["rows"]:
        target, found = TARGETS.get(row["active"]), row["ratio_to_bare"]["composed"]
        if target:
            verdict = "met" if found <= target else "MISSED"
            bench.say(f"target: {row['active']} adapters <= {target} x bare: {found}, {verdict}")


def measure_others(bench: Bench) -> None:
    """All other sizes, number types and cameras."""
    _measure(bench, OTHERS[:2] if bench.quick else OTHERS)


def _measure(bench: Bench, cells: Sequence[Cell]) -> None:
    bench.results["tail_blocks"] = TAIL_BLOCKS
    rows = bench.results["rows"] = []
    for index, cell in enumerate(cells):
        seconds = bench.left_s() / (len(cells) - index)
        if seconds == 0.0 and index:
            bench.say(f"{_title(cell)}: no time left")
            continue
        rows += _rows(bench, cell, seconds)
        bench.say(f"{_title(cell)}: {_summary([r for r in rows if r['cell'] == cell._asdict()])}")
        bench.save()


def _rows(bench: Bench, cell: Cell, seconds: float) -> list[Results]:
    """A row for each number of active adapters."""
    numbers = (1, 2) if bench.quick else _ACTIVE
    size = TINY if bench.quick else size_of(cell.backbone)
    separate = min(max(numbers), _MOST_SLOW)
    rows = []
    with torch.inference_mode():
        ways = Ways(
            *(size, TAIL_BLOCKS, max(numbers), separate, bench.device, "all"),
            getattr(torch, cell.dtype),
            cameras=cell.cameras,
        )
        bare = ways.fastest("bare", 1)
        for active in numbers:
            runs = _runs(ways, active, bare)
            times = time_interleaved(runs, bench, 0.6 * seconds / len(numbers))
            rows.append({"cell": cell._asdict(), "active": active, **_ratios(times)})
    return rows


def _runs(ways: Ways, active: int, bare: Callable[[], object]) -> dict[str, Callable[[], object]]:
    """What is timed: by the fastest way there is, and without captures (``eager``)."""
    runs = {"bare": bare, "composed": ways.fastest("composed", active)}
    runs |= {f"{name}_eager": partial(ways.run, name, active) for name in ("bare", "composed")}
    if active <= _MOST_SLOW:
        runs |= {name: ways.fastest(name, active) for name in _SLOW}
    return runs


def _ratios(times: dict[str, Results]) -> Results:
    bare = times["bare"]
    return {
        "ratio_to_bare": {
            name: rounded(each["ms"]["p50"] / bare["ms"]["p50"]) for name, each in times.items()
        },
        "streamed_ratio_to_bare": {
            name: rounded(each["streamed_ms"] / bare["streamed_ms"]) for name, each in times.items()
        },
        "times": times,
    }


def _title(cell: Cell) -> str:
    return f"{cell.backbone}, {cell.dtype}, {cell.cameras} camera(s)"


def _summary(rows: Sequence[Results]) -> str:
    ratios = ", ".join(f"{r['active']}: {r['ratio_to_bare']['composed']}" for r in rows)
    mixed = [r for r in rows if "peft_mixed_batch" in r["ratio_to_bare"]][-1]
    others = ", ".join(f"{name} {mixed['ratio_to_bare'][name]}" for name in _SLOW)
    bare = rows[0]["times"]["bare"]["ms"]["p50"]
    return f"bare {bare} ms; composed, x bare: {ratios}; with {mixed['active']}: {others}"
