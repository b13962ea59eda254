"""``polymorph bench …``: measure parts of the product beside what else one could use."""

from __future__ import annotations

import typer

bench_app = typer.Typer(no_args_is_help=True, help="Measure parts beside their alternatives.")


@bench_app.callback()
def _group() -> None:
    pass
