"""Belief, cover and discovery of the policy on label traces, beside other policies.

    build/venv/bin/python benchmarks/policy_on_traces.py ../shared/data/traces/*.jsonl.gz \
        [--frames 3000] [--json rows.json]

Label sets are real, scores are simulated (docs/belief.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from parts.policy_study.simulated_scores import Quality
from parts.policy_study.study import Row, study_trace
from parts.traces import read_trace
from polymorph_ros.cli.main import run
from polymorph_ros.files import write_json
from polymorph_ros.progress import progress_bar

_COLUMNS = (
    "adapters_per_frame", "covered", "delay_median_frames", "delay_p95_frames", "missed_runs",
    "flaps_per_minute", "f1",
)  # fmt: skip


def main(
    traces: Annotated[list[Path], typer.Argument(help="Label traces (.jsonl or .jsonl.gz).")],
    json: Annotated[Path | None, typer.Option(help="Rows go here.")] = None,
    labels_per_context: Annotated[int, typer.Option(min=1, help="Labels of a context.")] = 8,
    frames: Annotated[
        int, typer.Option(min=0, help="Held-out frames of each trace, about; 0: all.")
    ] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the split and of the noise.")] = 0,
    adapter_ap: Annotated[
        float, typer.Option(min=0, max=1, help="Of an adapter where its context is.")
    ] = 0.85,
    scout_label_ap: Annotated[
        float, typer.Option(min=0, max=1, help="Of the scout's label scores.")
    ] = 0.55,
    scout_context_ap: Annotated[
        float, typer.Option(min=0, max=1, help="Of the scout's context scores.")
    ] = 0.75,
    correlation_s: Annotated[
        float, typer.Option(min=0.001, help="How long errors stay alike, seconds.")
    ] = 0.3,
    shared: Annotated[
        float, typer.Option(min=0, max=1, help="Correlation of adapters' and scout's errors.")
    ] = 0.5,
    probe_share: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of the adapters' work for probes.")
    ] = 0.0,
) -> None:
    """Measure the policy on label traces, with simulated scores, beside other policies.

    The traces' label sets are real, the scores are simulated: from the truth and noise
    of the given quality. Contexts, rates and thresholds come from training sequences only.
    """
    quality = Quality(adapter_ap, scout_label_ap, scout_context_ap, correlation_s, shared)
    rows: list[Row] = []
    with progress_bar() as bars:
        task = bars.add_task("policies", total=None, note="")
        for path in traces:
            for row in study_trace(
                read_trace(path),
                labels_per_context=labels_per_context,
                quality=quality,
                seed=seed,
                frames=frames,
                probe_share=probe_share,
                say=bars.console.print,
            ):
                rows.append(row)
                bars.update(task, advance=1)
                if json:
                    write_json(json, rows)
    table = Table("trace", "policy", *_COLUMNS, caption="scores simulated, label sets real")
    for row in rows:
        table.add_row(
            str(row["trace"]), str(row["policy"]), *(f"{row[name]:.3f}" for name in _COLUMNS)
        )
    Console().print(table)


if __name__ == "__main__":
    run(main)
