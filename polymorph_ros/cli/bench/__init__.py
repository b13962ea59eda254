"""``polymorph bench …``: measure parts of the product beside what else one could use."""

from __future__ import annotations

import typer

from polymorph_ros.cli.bench.compose import compose
from polymorph_ros.cli.bench.contexts import contexts
from polymorph_ros.cli.bench.policy import policy
from polymorph_ros.cli.bench.reuse import reuse
from polymorph_ros.cli.bench.unknown_scene import unknown_scene

bench_app = typer.Typer(no_args_is_help=True, help="Measure parts beside their alternatives.")


@bench_app.callback()
def _group() -> None:
    pass


bench_app.command()(compose)
bench_app.command()(contexts)
bench_app.command()(policy)
bench_app.command()(unknown_scene)
bench_app.command()(reuse)
