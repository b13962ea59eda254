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
        table.add_row(
            stage.name,
            stage.state,
            f"{stage.frames:,}" if stage.frames else "",
            f"{stage.steps:,}" if stage.steps else "",
            f"{stage.size / 1e6:.1f}",
            "" if stage.state == "kept" else _duration(stage.seconds),
            style="dim" if stage.state == "kept" else "",
        )
    console.print(table)
    console.print(
        f"to do: {plan.steps:,} gradient steps, {plan.size / 1e6:,.0f} MB to write "
        f"({plan.free / 1e9:.1f} GB free), about {_duration(plan.seconds)}",
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
    if trained.baselines:
        _print_baselines(console, trained)
    else:
        for name, value in manifest.metrics.items():
            console.print(f"{name}: {value:.3f}", highlight=False)
    console.print(f"bundle: {trained.bundle.path}", soft_wrap=True, highlight=False)


def _print_baselines(console: Console, trained: Trained) -> None:
    own = trained.bundle.manifest.metrics
    table = Table("trained equally long", *own)
    for name, metrics in {"this bundle": own, **trained.baselines}.items():
        table.add_row(name, *(f"{metrics[key]:.3f}" for key in own))
    console.print(table)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
