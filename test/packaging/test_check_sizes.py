"""Pins what `scripts/check_sizes.py` refuses, and what it lets pass."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

CHECK = Path(__file__).resolve().parents[2] / "scripts" / "check_sizes.py"


def faults(folder: Path, source: str, name: str = "module.py") -> list[str]:
    """What the check says of one file, without the file's path."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'"""A module."""\n{textwrap.dedent(source)}')
    done = subprocess.run(
        [sys.executable, CHECK, folder], text=True, capture_output=True, check=False
    )
    said = [line.removeprefix(f"{file}:") for line in done.stdout.splitlines()]
    assert done.returncode == bool(said), done.stderr
    return said


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\n" * 400, "1: module.py: 401 lines, at most 400"),
        ("def _f():\n" + "    x = 1\n" * 60, "2: _f: 61 lines, at most 60"),
        ("def _f(a, b, c, d, e, f, g, h, *, i): ...", "2: _f: 9 parameters, at most 8"),
        ("def f(): ...", "2: f: public function without docstring"),
        ("class A: ...", "2: A: public class without docstring"),
        ("class A:\n    '''A.'''\n    def f(self): ...", "4: A.f: public method without docstring"),
    ],
)
def test_it_says_what_is_wrong_and_where(tmp_path: Path, source: str, said: str) -> None:
    assert faults(tmp_path, source) == [said]


@pytest.mark.parametrize(
    "source",
    [
        "x = 1\n" * 399,
        "def _f():\n" + "    x = 1\n" * 59,
        "class _A:\n    def f(self, a, b, c, d, e, f, g, h): ...\n    def __len__(self): ...",
        "def f():\n    '''F.'''\n    def g(): ...",
        """
        class A:
            '''A.'''
            def f(self):
                '''F.'''
        class B(A):
            '''B.'''
            def f(self): ...
        """,
        """
        class A(Protocol):
            '''A.'''
            def f(self):
                '''F.'''
        class B:
            '''Implements A.'''
            def f(self): ...
        """,
    ],
)
def test_it_lets_pass(tmp_path: Path, source: str) -> None:
    assert faults(tmp_path, source) == []


def test_a_command_may_have_many_options(tmp_path: Path) -> None:
    options = ", ".join(f"o{number}=typer.Option(1)" for number in range(9))
    command = f"def _f({options}): ..."

    assert faults(tmp_path / "other", command) == ["2: _f: 9 parameters, at most 8"]
    assert faults(tmp_path / "cli", command, "cli/command.py") == []
