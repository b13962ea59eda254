"""The comparison as a table: in a terminal, as Markdown, and what the report's table shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.table import Table

from polymorph_ros.evaluation.method_metrics import MethodMetrics
from polymorph_ros.evaluation.metrics.bootstrap import Interval

UNKNOWN = "–"


def number(value: float | None, digits: int = 3, *, signed: bool = False) -> str:
    """A number for people; a dash where it is unknown."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{value:{'+' if signed else ''}.{digits}f}"


def between(interval: Interval, *, signed: bool = False) -> str:
    """An interval for people; nothing where it is unknown."""
    if not math.isfinite(interval.low):
        return ""
    low, high = (number(end, signed=signed) for end in (interval.low, interval.high))
    return f"[{low}, {high}]"


def plus_minus(error: float) -> str:
    """A standard error for people; nothing where it is unknown."""
    return f"± {number(error, 1)}" if math.isfinite(error) else ""


@dataclass(frozen=True)
class Column:
    """A column of metrics.

    Attributes:
        value: of a method; None or NaN where it is unknown.
        note: what stands beside it, small.
    """

    title: str
    unit: str
    value: Callable[[MethodMetrics], float | None]
    digits: int = 3
    signed: bool = False
    note: Callable[[MethodMetrics], str] = lambda one: ""

    def sort_key(self, one: MethodMetrics) -> str:
        """A method's value in full; empty where it is unknown."""
        value = self.value(one)
        return "" if value is None or not math.isfinite(value) else repr(float(value))

    def cell(self, one: MethodMetrics) -> str:
        """A method's value as text, without the note."""
        return number(self.value(one), self.digits, signed=self.signed)


def _milli(value: float) -> float:
    return 1e3 * value


COLUMNS: tuple[Column, ...] = (
    Column(
        "mean AP", "95 % interval", lambda one: one.mean_ap,
        note=lambda one: between(one.mean_ap_interval),
    ),
    Column(
        "against polymorph", "95 % interval", lambda one: one.gain.mean_ap if one.gain else None,
        signed=True,
        note=lambda one: between(one.gain.interval, signed=True) if one.gain else "",
    ),
    Column(
        "energy", "mJ per frame", lambda one: _milli(one.energy.joules_per_frame), 1,
        note=lambda one: plus_minus(1e3 * one.energy.joules_error),
    ),
    Column("latency p50", "ms", lambda one: _milli(one.latency.p50_s), 1),
    Column("adapters", "per frame", lambda one: one.cover.adapters_per_frame, 2),
    Column("peak memory", "MB", lambda one: one.peak_bytes * 1e-6 if one.peak_bytes else None, 0),
    Column("micro F1", "", lambda one: one.f1.micro),
    Column("macro F1", "", lambda one: one.f1.macro),
    Column("calibration error", "", lambda one: one.calibration_error),
    Column(
        "discovery p50", "s", lambda one: one.discovery.p50_s, 2,
        note=lambda one: f"{one.discovery.missed} of {one.discovery.appearances} missed",
    ),
    Column("cover changes", "per minute", lambda one: one.cover.changes_per_minute, 1),
    Column("CPU", "ms per frame", lambda one: _milli(one.energy.cpu_seconds_per_frame), 1),
    Column("GPU", "ms per frame", lambda one: _milli(one.energy.gpu_seconds_per_frame), 1),
    Column("latency p95", "ms", lambda one: _milli(one.latency.p95_s), 1),
    Column("latency p99", "ms", lambda one: _milli(one.latency.p99_s), 1),
)  # fmt: skip

_SHORT = ("mean AP", "energy", "latency p50", "adapters", "peak memory", "micro F1")


def metrics_table(metrics: Sequence[MethodMetrics]) -> Table:
    """The most telling columns, for a terminal."""
    columns = [column for column in COLUMNS if column.title in _SHORT]
    source = metrics[0].energy.source.value
    table = Table(title=f"energy: {source}; intervals over {metrics[0].interval_over}")
    table.add_column("method", no_wrap=True)
    for column in columns:
        table.add_column("\n".join(filter(None, (column.title, column.unit))), justify="right")
    for one in metrics:
        table.add_row(one.method, *(_with_note(column, one) for column in columns))
    return table


def markdown(metrics: Sequence[MethodMetrics]) -> str:
    """All columns, for papers and READMEs."""
    heads = ["method"]
    heads += [f"{one.title} ({one.unit})" if one.unit else one.title for one in COLUMNS]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * len(COLUMNS)]
    for one in metrics:
        cells = [one.method, *(_with_note(column, one) for column in COLUMNS)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _with_note(column: Column, one: MethodMetrics) -> str:
    return " ".join(filter(None, (column.cell(one), column.note(one))))
