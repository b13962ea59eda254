"""How ``polymorph train`` shows a plan and a summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from polymorph_ros.training.pipeline import Trained
    from polymorph_ros.training.plan import Plan

_SHOWN = 20  # faults in the summary; the rest is counted


def print_plan(console: Console, plan: Plan) -> None:
    """A row for each stage, and the sums of what is left to do."""
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
    """What was left out, what was measured, and where the bundle is."""
    for fault in trained.left_out[:_SHOWN]:
        console.print(
            f"left out: {fault.where}: {fault.reason}",
            style="yellow",
            highlight=False,
            soft_wrap=True,
        )
    if len(trained.left_out) > _SHOWN:
        console.print(f"left out: {len(trained.left_out) - _SHOWN} more", style="yellow")
    manifest = trained.bundle.manifest
    console.print(f"{len(manifest.labels)} labels in {len(manifest.contexts)} contexts")
    for name, value in manifest.metrics.items():
        console.print(f"{name}: {value:.3f}", highlight=False)
    console.print(f"bundle: {trained.bundle.path}", soft_wrap=True, highlight=False)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
