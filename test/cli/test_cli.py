"""Pins the command line: exit codes 0, 1 and 2, and one line for a user's mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from helpers.tiny_bundle import write_tiny_bundle


def polymorph(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "polymorph_ros.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_help_names_the_commands_without_loading_torch() -> None:
    code = (
        "import sys; from polymorph_ros.cli.main import app; from typer.testing import CliRunner; "
        "result = CliRunner().invoke(app, ['--help']); print(result.output); "
        "sys.exit('torch' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )

    assert answer.returncode == 0, answer.stderr
    assert "train" in answer.stdout
    assert "bundle" in answer.stdout


def test_a_sound_bundle_is_described(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")

    answer = polymorph("bundle", "check", str(bundle.path))

    assert answer.returncode == 0, answer.stderr
    assert bundle.checksum in answer.stdout
    assert "office" in answer.stdout
    assert "sound" in answer.stdout


def test_a_damaged_bundle_is_one_line_and_code_1(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    (bundle.path / "scout.safetensors").write_bytes(b"rubbish")

    answer = polymorph("bundle", "check", str(bundle.path))

    assert answer.returncode == 1
    assert "scout.safetensors" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("arguments", [["nonsense"], ["bundle", "check"], ["train"]])
def test_wrong_use_is_code_2(arguments: list[str]) -> None:
    assert polymorph(*arguments).returncode == 2


def test_training_does_not_replace_what_is_no_bundle(tmp_path: Path) -> None:
    precious = tmp_path / "photos"
    precious.mkdir()
    (precious / "cat.jpg").write_bytes(b"a cat")

    answer = polymorph("train", "config/rooms_and_streets.yaml", "--out", str(precious))

    assert answer.returncode == 1
    assert "something else" in answer.stderr
    assert (precious / "cat.jpg").read_bytes() == b"a cat"
