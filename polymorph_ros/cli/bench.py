"""``polymorph bench compose``: the composed forward beside the other ways to run many adapters."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from polymorph_ros.evaluation.composition.bench import Plan, Row

bench_app = typer.Typer(no_args_is_help=True, help="Measure the product on this device.")

_BACKBONES = ["ViT-Ti", "ViT-S", "ViT-B", "EfficientNet-Lite0", "ConvNeXt-T"]
_TAIL_BLOCKS = [1, 2, 3, 4]
_ACTIVE = [1, 2, 4, 8, 16, 32]

_Json = Annotated[
    Path | None, typer.Option(help="Rows go here, after each cell; cells already there stay.")
]
_Quick = Annotated[bool, typer.Option(help="ViT-S, K = 2; 1, 4, 8 and 16 adapters.")]
_Backbones = Annotated[
    list[str] | None, typer.Option(help=f"{', '.join(_BACKBONES)}; may be repeated.")
]
_TailBlocks = Annotated[list[int] | None, typer.Option(min=1, help="K; repeatable.")]
_Active = Annotated[list[int] | None, typer.Option(min=1, help="Active adapters; repeatable.")]
_Seconds = Annotated[float | None, typer.Option(min=0, help="For each cell, beside its warm-up.")]
_Rounds = Annotated[int | None, typer.Option(min=1, help="Of all methods in each cell, at least.")]
_Threads = Annotated[int, typer.Option(min=0, help="CPU threads; 0: as PyTorch takes.")]
_Pooled = Annotated[
    bool, typer.Option(help="Composed tails on patches pooled 2 x 2 (other answers).")
]
_CpuTime = Annotated[
    bool, typer.Option(help="CPU time of all threads instead of the clock on the wall.")
]


@bench_app.callback()
def _group() -> None:
    pass


@bench_app.command()
def compose(
    json: _Json = None,
    quick: _Quick = False,
    backbone: _Backbones = None,
    tail_blocks: _TailBlocks = None,
    active: _Active = None,
    seconds: _Seconds = None,
    rounds: _Rounds = None,
    threads: _Threads = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "cpu",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    pooled: _Pooled = False,
    cpu_time: _CpuTime = False,
) -> None:
    """Time one picture with many adapters: composed, by PEFT's ways, and by separate models.

    Random weights, rank 8 on the family's default targets of the last K blocks, 224 px, all methods
    interleaved. A full table takes an hour and more; with --json it continues where it was stopped.
    On a GPU (--device cuda) composed and bare forwards and separate models are replayed as CUDA
    graphs.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler that counts memory is chatty
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    import torch

    from polymorph_ros.evaluation.composition.bench import Plan, precision
    from polymorph_ros.evaluation.composition.synthetic import size_of
    from polymorph_ros.model.gpu import choose_device

    if threads:
        torch.set_num_threads(threads)
    plan = Plan(
        sizes={n: size_of(n) for n in backbone or (["ViT-S"] if quick else _BACKBONES)},
        tail_blocks=tuple(tail_blocks or ([2] if quick else _TAIL_BLOCKS)),
        active=tuple(active or ([1, 4, 8, 16] if quick else _ACTIVE)),
        seconds=seconds if seconds is not None else (3.0 if quick else 20.0),
        rounds=rounds or (2 if quick else 3),
        device=choose_device(device),
        clock="cpu" if cpu_time else "wall",
        dtype=precision(dtype),
        tail_tokens="pooled" if pooled else "all",
    )
    _measure(plan, json)


def _measure(plan: Plan, json: Path | None) -> None:
    """Measure what the file does not hold yet, add it, and show all."""
    from polymorph_ros.evaluation.composition.bench import measure, read_rows, write_rows
    from polymorph_ros.evaluation.machine import machine_facts
    from polymorph_ros.progress import progress_bar

    rows = read_rows(json) if json else []
    console = Console()
    with progress_bar() as bars:
        cells = plan.cells()
        finished = len({row.cell for row in rows} & set(cells))
        task = bars.add_task("cells", total=len(cells), completed=finished, note="")
        for fresh in measure(plan, rows, lambda text: bars.console.print(text)):
            rows = [*rows, *fresh]
            if json:
                write_rows(json, rows)
            bars.update(task, advance=1)
    facts = machine_facts(plan.device)
    console.print(
        f"{facts.gpu or facts.cpu}, {facts.cores} cores, {facts.threads} thread(s), "
        f"PyTorch {facts.versions['torch']}, {facts.date}, load {facts.load}",
        highlight=False,
    )
    console.print(_table([row for row in rows if row.cell in cells]))


def _table(rows: list[Row]) -> Table:
    """A line for each cell; every method as a multiple of the bare backbone's time."""
    others = ("peft_sequential", "peft_mixed_batch", "merge_unmerge", "separate_models")
    table = Table(
        *("backbone", "K", "adapters", "bare ms", "composed ms", "composed", "its multiply-adds"),
        *(method.replace("_", " ") for method in others),
        caption="median times; all but ms: multiples of the bare backbone's forward",
    )
    cells: dict[tuple[str, int, int], dict[str, Row]] = {}
    for row in rows:
        cells.setdefault((row.backbone, row.tail_blocks, row.active), {})[row.method] = row
    for (backbone, tail_blocks, active), methods in cells.items():
        composed = methods["composed"]
        table.add_row(
            backbone,
            str(tail_blocks),
            str(active),
            f"{1e3 * methods['bare'].median_s:.1f}",
            f"{1e3 * composed.median_s:.1f}",
            f"{composed.ratio_to_bare:.2f}",
            f"{composed.limit_ratio:.2f}",
            *(f"{methods[m].ratio_to_bare:.1f}" if m in methods else "-" for m in others),
        )
    return table
