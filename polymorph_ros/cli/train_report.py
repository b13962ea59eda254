"""How ``polymorph train`` shows a plan and a summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from polymorph_ros.bundle.manifest import OverTimeEntry, SingleContextEntry
    from polymorph_ros.training.pipeline import Trained
    from polymorph_ros.training.plan import Plan
    from polymorph_ros.training.sources import SourceNotes

_SHOWN = 20  # lines of a kind in the summary; the rest is counted


def print_plan(console: Console, plan: Plan) -> None:
    """How the sources are read, a row for each stage, and the sums of what is left to do."""
    _print_notes(console, plan.notes)
    if plan.warning is not None:
        _print_lines(console, "warning", [plan.warning], "yellow")
    table = Table("stage", "state")
    for title in ("frames", "steps", "MB", "time"):
        table.add_column(title, justify="right")
    for stage in plan.stages:
        cost, done = stage.cost, stage.state == "done"
        table.add_row(
            stage.name,
            stage.state,
            f"{cost.frames:,}" if cost.frames else "",
            f"{cost.steps:,}" if cost.steps else "",
            f"{cost.size / 1e6:.1f}",
            "" if done else _duration(cost.seconds),
            style="dim" if done else "",
        )
    console.print(table)
    left = plan.left
    console.print(
        f"to do: {left.steps:,} gradient steps, {left.size / 1e6:,.0f} MB to write "
        f"({plan.free / 1e9:.1f} GB free), about {_duration(left.seconds)}",
        highlight=False,
    )
    console.print(
        "(estimated: gradient steps and trunk were timed just now, as if this machine did nothing "
        "else; decoding and rendering are taken as 100 frames per second)",
        style="dim",
        highlight=False,
    )


def print_summary(console: Console, trained: Trained) -> None:
    """How the sources were read, what was left out and measured, and where the bundle is."""
    _print_notes(console, trained.notes)
    faults = [f"{fault.where}: {fault.reason}" for fault in trained.left_out]
    _print_lines(console, "left out", faults, "yellow")
    manifest = trained.bundle.manifest
    console.print(f"{len(manifest.labels)} labels in {len(manifest.contexts)} contexts")
    if manifest.over_time is not None:
        console.print(_over_time(manifest.over_time), highlight=False, soft_wrap=True)
    if manifest.single_context is not None:
        console.print(_single(manifest.single_context), highlight=False, soft_wrap=True)
    for name, value in manifest.metrics.items():
        console.print(f"{name}: {value:.3f}", highlight=False)
    console.print(f"bundle: {trained.bundle.path}", soft_wrap=True, highlight=False)


def _over_time(entry: OverTimeEntry) -> str:
    """Whether beliefs go over time, and why."""
    metrics = f"log loss {entry.log_loss:.4f}, of single frames {entry.log_loss_alone:.4f}"
    if entry.mean_ap is not None and entry.mean_ap_alone is not None:
        metrics += f"; mean AP {entry.mean_ap:.3f}, of single frames {entry.mean_ap_alone:.3f}"
    verdict = "used" if entry.used else "not used, every frame stands for itself"
    return f"belief over time: {verdict} (validation sequences held out: {metrics})"


def _single(entry: SingleContextEntry) -> str:
    """Whether the bundle has several contexts, and why."""
    verdict = "one of all labels" if entry.used else "several"
    return (
        f"contexts: {verdict} (validation: several {entry.mean_ap_several:.3f} mean AP with "
        f"{entry.adapters:.1f} adapters per frame, one {entry.mean_ap:.3f})"
    )


def _print_notes(console: Console, notes: SourceNotes) -> None:
    """What was taken for granted, and which clock each recording has."""
    _print_lines(console, "assumed", notes.assumptions, "yellow")
    clocks = [f"{name}: {clock}" for name, clock in notes.clocks]
    _print_lines(console, "clock", clocks, "dim")


def _print_lines(console: Console, title: str, lines: Sequence[str], style: str) -> None:
    """Print the first lines of a kind, and how many more there are."""
    for line in lines[:_SHOWN]:
        text = escape(f"{title}: {line}")
        console.print(text, style=style, highlight=False, soft_wrap=True)
    if len(lines) > _SHOWN:
        console.print(f"{title}: {len(lines) - _SHOWN} more", style=style)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
