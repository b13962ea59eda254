"""The command line ``polymorph``.

Exit codes: 0 done, 1 failed (one line says why), 2 wrong use.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer
from rich.console import Console

from polymorph_ros import __version__
from polymorph_ros.cli.bench import bench_app
from polymorph_ros.cli.bundle import bundle_app
from polymorph_ros.cli.data import data_app
from polymorph_ros.cli.distill import distill
from polymorph_ros.cli.doctor import doctor
from polymorph_ros.cli.energy import energy_app
from polymorph_ros.cli.evaluate import evaluate
from polymorph_ros.cli.grow import grow
from polymorph_ros.cli.label import label
from polymorph_ros.cli.train import train
from polymorph_ros.errors import PolymorphError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Many labels at little energy: label recordings, train, check and measure bundles.",
)
app.command()(distill)
app.command()(doctor)
app.command()(evaluate)
app.command()(grow)
app.command()(label)
app.command()(train)
app.add_typer(bench_app, name="bench")
app.add_typer(bundle_app, name="bundle")
app.add_typer(data_app, name="data")
app.add_typer(energy_app, name="energy")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"polymorph_ros {__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version."
    ),
) -> None:
    pass


def main() -> None:
    """Run the command line ``polymorph``."""
    _run(app)


def run(command: Callable[..., None]) -> None:
    """Run a function with typer options as a command line of its own, as benchmarks do."""
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command()(command)
    _run(alone)


def _run(commands: typer.Typer) -> None:
    """A user's mistake is one line, not a traceback."""
    try:
        commands()
    except PolymorphError as error:
        Console(stderr=True).print(f"[red]error:[/red] {error}", soft_wrap=True, highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        Console(stderr=True).print("stopped; what was finished is kept")
        sys.exit(1)


if __name__ == "__main__":
    main()
