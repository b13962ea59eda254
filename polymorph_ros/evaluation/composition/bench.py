"""Time the ways to run many adapters beside each other, interleaved, and say what bounds them."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch

from polymorph_ros.bundle.manifest import TailTokens
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.composition.count import multiply_adds, peak_activation_bytes
from polymorph_ros.evaluation.composition.synthetic import Size, room_for
from polymorph_ros.evaluation.composition.ways import METHODS, Ways
from polymorph_ros.evaluation.machine import machine_facts
from polymorph_ros.files import write_json

Clock = Literal["wall", "cpu"]
Precision = Literal["float32", "bfloat16", "float16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

# The cheap methods run more often in a round: their ratio is what the bench is for.
_PER_ROUND = {"composed": 4, "bare": 4}


class Cell(NamedTuple):
    """What is measured together, and under which conditions.

    Attributes:
        device: the CPU or GPU by name.
        dtype: what all methods compute in.
        tail_tokens: what the composed tails get.
        threads: of a computation on the CPU.
        clock: on the wall, or the process's CPU time (all threads together).
    """

    backbone: str
    tail_blocks: int
    active: int
    device: str
    dtype: Precision
    tail_tokens: TailTokens
    threads: int
    clock: Clock


@dataclass(frozen=True)
class Row:
    """One method in one cell, whose fields it repeats.

    Attributes:
        median_s, p95_s, min_s: seconds for one picture.
        ratio_to_bare: of the medians, to the bare backbone's forward in the same cell.
        limit_ratio: the same ratio of multiply-adds: what elementwise work, memory and calls
            add to it is the rest.
        peak_bytes: weights, and the most that the computation's own tensors take at a time.
        torch: PyTorch's version.
        date: when the cell was measured.
        load: mean number of running processes in the minute before.
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
    device: str
    dtype: Precision
    tail_tokens: TailTokens
    threads: int
    clock: Clock
    torch: str
    date: str
    load: float

    @property
    def cell(self) -> Cell:
        """The cell that it belongs to."""
        return Cell(*(getattr(self, name) for name in Cell._fields))


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        sizes: backbones by name.
        tail_blocks, active: values of K and of the number of adapters.
        seconds: how long a cell is measured; at least ``rounds`` rounds of all methods.
        device: where. On a GPU what ``Ways.fastest`` captures is replayed as CUDA graphs.
        clock, dtype, tail_tokens: as in ``Cell``.

    Raises:
        PolymorphError: CPU time is wanted of what runs on a GPU.
    """

    sizes: dict[str, Size]
    tail_blocks: tuple[int, ...]
    active: tuple[int, ...]
    seconds: float
    rounds: int
    device: torch.device
    clock: Clock = "wall"
    dtype: Precision = "float32"
    tail_tokens: TailTokens = "all"

    def __post_init__(self) -> None:
        if self.clock == "cpu" and self.device.type != "cpu":
            raise PolymorphError("CPU time of a computation on the CPU", str(self.device))

    def cells(self) -> list[Cell]:
        """Each cell, in the order in which they are measured."""
        facts = machine_facts(self.device)
        return [
            Cell(
                *(name, blocks, active, facts.gpu or facts.cpu),
                *(self.dtype, self.tail_tokens, facts.threads, self.clock),
            )
            for name in self.sizes
            for blocks in self.tail_blocks
            for active in self.active
        ]


def precision(name: str) -> Precision:
    """A number type by name.

    Raises:
        PolymorphError: none has that name.
    """
    for each in PRECISIONS:
        if each == name:
            return each
    raise PolymorphError(f"a number type out of {', '.join(PRECISIONS)}", name)


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
    """Write the rows as JSON, whole or not at all."""
    write_json(path, [asdict(row) for row in rows])


def measure(plan: Plan, known: Sequence[Row], note: Callable[[str], None]) -> Iterator[list[Row]]:
    """Measures the cells that ``known`` does not hold; yields the rows of each.

    Args:
        note: takes a line on what is left out and why.
    """
    done = {row.cell for row in known}
    wanted = [cell for cell in plan.cells() if cell not in done]
    for (name, blocks), cells in groupby(wanted, lambda cell: (cell.backbone, cell.tail_blocks)):
        group = list(cells)
        most = max(cell.active for cell in group)
        size = plan.sizes[name]
        separate = min(most, room_for(size, plan.device))
        dtype = getattr(torch, plan.dtype)
        ways = Ways(size, blocks, most, separate, plan.device, plan.tail_tokens, dtype)
        for cell in group:
            methods = [m for m in METHODS if m != "separate_models" or cell.active <= separate]
            if len(methods) < len(METHODS):
                note(f"{name}: no room for {cell.active} separate models")
            yield _measure_cell(plan, ways, cell, methods)


def _measure_cell(plan: Plan, ways: Ways, cell: Cell, methods: Sequence[str]) -> list[Row]:
    active = cell.active
    facts = machine_facts(plan.device)
    seconds: dict[str, list[float]] = {method: [] for method in methods}
    with torch.inference_mode():
        counts: dict[str, float] = {}
        peaks = {m: _peak_and_count(partial(ways.run, m, active), m, counts, plan) for m in methods}
        runs = {method: ways.fastest(method, active) for method in methods}
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
            **cell._asdict(),
            method=method,
            median_s=statistics.median(times),
            p95_s=float(np.percentile(times, 95)),
            min_s=min(times),
            ratio_to_bare=statistics.median(times) / bare,
            limit_ratio=counts[method] / counts["bare"],
            peak_bytes=ways.weight_bytes(method, active) + peaks[method],
            torch=torch.__version__,
            date=facts.date,
            load=facts.load,
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
    now = time.process_time if plan.clock == "cpu" else time.perf_counter
    _wait(plan.device)
    start = now()
    run()
    _wait(plan.device)
    return now() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
