"""Pins which options of `polymorph train` go together; what it does is pinned in test/training."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from polymorph_ros.cli.main import app


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["config.yaml"],
        ["--out", "bundle"],
        ["--add", "data"],
        ["--to", "bundle"],
        ["--add", "data", "--to", "bundle", "--dry-run"],
        ["config.yaml", "--add", "data", "--to", "bundle"],
        ["config.yaml", "--out", "bundle", "--to", "bundle"],
    ],
)
def test_options_that_do_not_go_together_are_wrong_use(arguments: list[str]) -> None:
    answer = CliRunner().invoke(app, ["train", *arguments])

    assert answer.exit_code == 2
    assert "CONFIG and --out" in answer.output
