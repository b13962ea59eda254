"""Run a benchmark's command as its command line does."""

from __future__ import annotations

from collections.abc import Callable

import typer
from typer.testing import CliRunner, Result


def invoke(command: Callable[..., None], *words: object) -> Result:
    """The outcome of a function with typer options on these words."""
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(word) for word in words])
