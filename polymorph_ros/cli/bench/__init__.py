"""``polymorph bench …``: measure parts of the product beside what else one could use."""

from __future__ import annotations

import typer

from polymorph_ros.cli.bench.compose import compose

bench_app = typer.Typer(no_args_is_help=True, help="Measure parts beside their alternatives.")


@bench_app.callback()
def _group() -> None:
    pass


bench_app.command()(compose)
