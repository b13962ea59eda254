"""Adapters that cover a frame with Polymorph's contexts, beside other groups of labels.

    build/venv/bin/python benchmarks/context_formation.py ../shared/data/traces/*.jsonl.gz \
        [--json rows.json]

docs/contexts.md says what came out.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from parts.context_study.study import METHODS, Row, study_trace
from parts.traces import read_trace
from polymorph_ros.cli.main import run
from polymorph_ros.contexts.formation import ContextLimits
from polymorph_ros.files import write_json
from polymorph_ros.progress import progress_bar


def main(
    traces: Annotated[list[Path], typer.Argument(help="Label traces (.jsonl or .jsonl.gz).")],
    json: Annotated[Path | None, typer.Option(help="Rows go here.")] = None,
    labels_per_context: Annotated[int, typer.Option(min=1, help="Labels of a context.")] = 8,
    contexts: Annotated[
        int, typer.Option(min=0, help="Contexts; 0: as many as --slack makes it.")
    ] = 0,
    slack: Annotated[
        float, typer.Option(min=1, help="Contexts for each that it takes to hold all labels once.")
    ] = 4.0,
    seed: Annotated[int, typer.Option(help="Of the split and of all methods.")] = 0,
    runs: Annotated[int, typer.Option(min=1, help="Random groups to take the mean of.")] = 10,
) -> None:
    """Measure how many adapters cover a frame of sequences that were not used to form contexts.

    Sequences are split into halves. All methods have the same contexts and places for labels:
    `polymorph` (ours), `random`, `spectral` (scikit-learn) and `louvain` (networkx).
    """
    rows: list[Row] = []
    with progress_bar() as bars:
        task = bars.add_task("groups", total=len(traces) * len(METHODS), note="")
        for path in traces:
            trace = read_trace(path)
            once = math.ceil(len(trace.vocabulary) / labels_per_context)
            limits = ContextLimits(contexts or math.ceil(slack * once), labels_per_context)
            for row in study_trace(trace, limits, seed=seed, runs=runs):
                rows.append(row)
                bars.update(task, advance=1, note=f"{row.trace} {row.method}")
                if json:
                    write_json(json, [asdict(row) for row in rows])
    Console().print(_table(rows))


def _table(rows: list[Row]) -> Table:
    table = Table(
        *("trace", "method", "adapters per frame", "excess to random's", "contexts", "slots", "s"),
        caption="held-out sequences, frames that have labels",
    )
    for row in rows:
        table.add_row(
            row.trace,
            row.method,
            f"{row.adapters_per_frame:.3f}",
            f"{row.excess_to_random:.2f}",
            str(row.contexts),
            str(row.slots),
            f"{row.seconds:.1f}",
        )
    return table


if __name__ == "__main__":
    run(main)
