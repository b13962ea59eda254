"""Time the ways to run many adapters beside each other, interleaved, and say what bounds them."""

from __future__ import annotations

import json
import re
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from polymorph_ros.bundle.manifest import TailTokens
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.composition.count import multiply_adds, peak_activation_bytes
from polymorph_ros.evaluation.composition.made import Size, make_backbone
from polymorph_ros.evaluation.composition.ways import METHODS, Ways

# The cheap methods run more often in a round: their ratio is what the bench is for.
_PER_ROUND = {"composed": 4, "bare": 4}


@dataclass(frozen=True)
class Row:
    """One method in one cell (backbone, K, number of active adapters).

    Attributes:
        median_s, p95_s, min_s: seconds for one picture.
        ratio_to_bare: of the medians, to the bare backbone's forward in the same cell.
        limit_ratio: the same ratio of multiply-adds: what elementwise work, memory and calls
            add to it is the rest.
        peak_bytes: weights, and the most that the computation's own tensors take at a time.
    """

    backbone: str
    tail_blocks: int
    active: int
    method: str
    median_s: float
    p95_s: float
    min_s: float
    ratio_to_bare: float
    limit_ratio: float
    peak_bytes: int


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        sizes: backbones by name.
        tail_blocks, active: values of K and of the number of adapters.
        seconds: how long a cell is measured; at least ``rounds`` rounds.
        device: where.
        clock: gives seconds: the wall clock, or the process's CPU time (all threads together) on a
            machine that others use too.
        tail_tokens: what the composed tails see.
    """

    sizes: dict[str, Size]
    tail_blocks: tuple[int, ...]
    active: tuple[int, ...]
    seconds: float
    rounds: int
    device: torch.device
    clock: Callable[[], float] = time.perf_counter
    tail_tokens: TailTokens = "all"

    def cells(self) -> list[tuple[str, int, int]]:
        """(backbone, K, active) of each cell, in the order in which they are measured."""
        return [
            (name, blocks, active)
            for name in self.sizes
            for blocks in self.tail_blocks
            for active in self.active
        ]


def read_rows(path: Path) -> list[Row]:
    """The rows of an earlier run; none where there is no file.

    Raises:
        PolymorphError: the file holds something else.
    """
    if not path.is_file():
        return []
    try:
        return [Row(**row) for row in json.loads(path.read_text())]
    except (ValueError, TypeError) as error:
        raise PolymorphError(
            "rows of this bench", str(error), where=str(path), remedy="give another file"
        ) from error


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Writes the rows under a temporary name, then renames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    fresh.rename(path)


def measure(plan: Plan, known: Sequence[Row], note: Callable[[str], None]) -> Iterator[list[Row]]:
    """Measures the cells that ``known`` does not hold; yields the rows of each.

    Args:
        note: told what is left out and why.
    """
    done = {(row.backbone, row.tail_blocks, row.active) for row in known}
    for name, size in plan.sizes.items():
        for blocks in plan.tail_blocks:
            wanted = [active for active in plan.active if (name, blocks, active) not in done]
            if not wanted:
                continue
            separate = min(max(wanted), _room(size))
            ways = Ways(size, blocks, max(wanted), separate, plan.device, plan.tail_tokens)
            for active in wanted:
                methods = [m for m in METHODS if m != "separate_models" or active <= separate]
                if len(methods) < len(METHODS):
                    note(f"{name}: no room for {active} separate models")
                yield _measure_cell(plan, ways, name, blocks, active, methods)


def _measure_cell(
    plan: Plan, ways: Ways, name: str, blocks: int, active: int, methods: Sequence[str]
) -> list[Row]:
    seconds: dict[str, list[float]] = {method: [] for method in methods}
    with torch.inference_mode():
        runs = {method: partial(ways.run, method, active) for method in methods}
        counts: dict[str, float] = {}
        peaks = {m: _peak_and_count(run, m, counts, plan) for m, run in runs.items()}
        end = time.perf_counter() + plan.seconds
        rounds = 0
        while rounds < plan.rounds or time.perf_counter() < end:
            for method in methods:
                for _ in range(_PER_ROUND.get(method, 1)):
                    seconds[method].append(_seconds(runs[method], plan))
            rounds += 1
    bare = statistics.median(seconds["bare"])
    return [
        Row(
            backbone=name,
            tail_blocks=blocks,
            active=active,
            method=method,
            median_s=statistics.median(times),
            p95_s=float(np.percentile(times, 95)),
            min_s=min(times),
            ratio_to_bare=statistics.median(times) / bare,
            limit_ratio=counts[method] / counts["bare"],
            peak_bytes=ways.weight_bytes(method, active) + peaks[method],
        )
        for method, times in seconds.items()
    ]


def _peak_and_count(
    run: Callable[[], object], method: str, counts: dict[str, float], plan: Plan
) -> int:
    """Peak bytes of one run, whose multiply-adds go into ``counts``; it warms the method up too."""

    def counted() -> None:
        counts[method] = multiply_adds(run)

    return peak_activation_bytes(counted, plan.device)


def _seconds(run: Callable[[], object], plan: Plan) -> float:
    _wait(plan.device)
    start = plan.clock()
    run()
    _wait(plan.device)
    return plan.clock() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _room(size: Size) -> int:
    """How many separate models fit into half of the memory that is free now."""
    model = make_backbone(size, torch.device("cpu")).model
    each = sum(p.numel() * p.element_size() for p in model.parameters())
    found = re.search(r"^MemAvailable:\s*(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found.group(1)) * 1024 // 2 // each if found else 1
