"""The comparison as a table in a terminal and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.table import Table

from polymorph_ros.evaluation.figures import Figures


@dataclass(frozen=True)
class Column:
    """A column: its heading, its unit, and a method's cell."""

    title: str
    unit: str
    cell: Callable[[Figures], str]


def number(value: float | None, digits: int = 3, scale: float = 1.0) -> str:
    """A number for people; a dash where it cannot be told."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value * scale:.{digits}f}"


def _mean_ap(one: Figures) -> str:
    low, high = one.mean_ap_interval.low, one.mean_ap_interval.high
    between = f" [{number(low)}, {number(high)}]" if math.isfinite(low) else ""
    return number(one.mean_ap) + between


def _gain(one: Figures) -> str:
    if one.gain is None:
        return ""
    low, high = one.gain.interval.low, one.gain.interval.high
    between = f" [{low:+.3f}, {high:+.3f}]" if math.isfinite(low) else ""
    return (f"{one.gain.mean_ap:+.3f}" if math.isfinite(one.gain.mean_ap) else "–") + between


COLUMNS: tuple[Column, ...] = (
    Column("method", "", lambda one: one.method),
    Column("mean AP", "95 % interval", _mean_ap),
    Column("to polymorph", "95 % interval", _gain),
    Column("micro F1", "", lambda one: number(one.f1.micro)),
    Column("macro F1", "", lambda one: number(one.f1.macro)),
    Column("calibration error", "", lambda one: number(one.calibration_error)),
    Column("discovery p50", "s", lambda one: number(one.discovery.p50_s, 2)),
    Column("missed", "", lambda one: f"{one.discovery.missed} of {one.discovery.appearances}"),
    Column("adapters", "per frame", lambda one: number(one.cover.adapters_per_frame, 2)),
    Column("cover changes", "per minute", lambda one: number(one.cover.changes_per_minute, 1)),
    Column("energy", "mJ per frame", lambda one: number(one.energy.joules_per_frame, 1, 1e3)),
    Column("CPU", "ms per frame", lambda one: number(one.energy.cpu_seconds_per_frame, 1, 1e3)),
    Column("GPU", "ms per frame", lambda one: number(one.energy.gpu_seconds_per_frame, 1, 1e3)),
    Column("latency p50", "ms", lambda one: number(one.latency.p50_s, 1, 1e3)),
    Column("p95", "ms", lambda one: number(one.latency.p95_s, 1, 1e3)),
    Column("p99", "ms", lambda one: number(one.latency.p99_s, 1, 1e3)),
    Column("peak memory", "MB", lambda one: number(one.peak_bytes, 0, 1e-6)),
)

_SHORT = ("method", "mean AP", "micro F1", "adapters", "energy", "latency p50", "peak memory")


def figures_table(figures: Sequence[Figures]) -> Table:
    """The most telling columns, for a terminal."""
    columns = [column for column in COLUMNS if column.title in _SHORT]
    source = figures[0].energy.source.value if figures else ""
    table = Table(title=f"energy: {source}; intervals over {figures[0].interval_over}")
    for column in columns:
        table.add_column("\n".join(filter(None, (column.title, column.unit))))
    for one in figures:
        table.add_row(*(column.cell(one) for column in columns))
    return table


def markdown(figures: Sequence[Figures]) -> str:
    """All columns, for papers and READMEs."""
    heads = [f"{one.title} ({one.unit})" if one.unit else one.title for one in COLUMNS]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(column.cell(one) for column in COLUMNS) + " |" for one in figures]
    return "\n".join(lines) + "\n"
