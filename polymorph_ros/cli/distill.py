"""``polymorph distill``: from unlabelled recordings and a large teacher to a small backbone."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from polymorph_ros.distillation.pipeline import Distilled
    from polymorph_ros.distillation.plan import DistillPlan


def distill(
    config: Annotated[Path, typer.Argument(help="Who teaches whom, on what (YAML).")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the student; an earlier student is replaced.")
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.1, help="About how long teacher and student may take; else steps."),
    ] = None,
    work: Annotated[
        Path, typer.Option(help="Folder for intermediate results; a rerun continues from them.")
    ] = Path("build/distill"),
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda or cuda:N; else as the configuration says.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done and what it costs.")
    ] = False,
) -> None:
    """Teach a small backbone to answer as a large one, on your own recordings without labels."""
    warnings.filterwarnings("ignore", category=FutureWarning)  # of libraries, about each other
    if out is None and not dry_run:
        raise typer.BadParameter("give --out or --dry-run")
    # Imported here: torch takes seconds, and `--help` should not.
    from polymorph_ros.distillation.config import DistillConfig
    from polymorph_ros.distillation.pipeline import distil, plan_distillation
    from polymorph_ros.training.config import read_fields

    console = Console()
    settings = read_fields(config, DistillConfig, "a configuration of a distillation")
    if device is not None:
        settings = settings.model_copy(update={"device": device})
    if dry_run:
        _print_plan(console, plan_distillation(settings, work.resolve(), minutes))
        return
    assert out is not None
    _print_outcome(console, distil(settings, out, work.resolve(), minutes, console.print), out)


def _print_plan(console: Console, plan: DistillPlan) -> None:
    store = f"{plan.views} stored views of each" if plan.views else "new views in every step"
    lines = (
        f"{plan.pictures:,} pictures, {store}, {plan.stored_bytes / 1e6:,.0f} MB to write",
        f"teacher: {1e3 * plan.teacher_frame_s:.0f} ms for a picture",
        f"student: {plan.parameters / 1e6:.2f} million parameters, {plan.steps:,} gradient steps "
        f"of {plan.step_s:.2f} s",
        f"about {plan.seconds / 60:.1f} minutes, and decoding (timed just now, as if this machine "
        "did nothing else)",
    )
    for line in lines:
        console.print(line, highlight=False)


def _print_outcome(console: Console, done: Distilled, out: Path) -> None:
    if done.left_out:
        first = done.left_out[0]
        console.print(
            f"{len(done.left_out)} pictures could not be read, first {first.where}: {first.reason}",
            style="yellow", highlight=False, markup=False,
        )  # fmt: skip
    left = ", ".join(f"{kind} {loss:.3f}" for kind, loss in done.losses.items())
    console.print(f"losses that are left: {left}", highlight=False)
    console.print(f"{out}: name it as backbone: {{folder: {out}}}", highlight=False, markup=False)
