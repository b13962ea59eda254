"""Pins that the examples in docstrings give what they say. Modules of ros/ too: their examples
must not need a running graph. Skipped there where ROS is not installed."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
from pathlib import Path

import pytest

from helpers.documents import ROOT, furnish


def modules_with_examples() -> list[str]:
    """Names of the modules whose text has a prompt; the others need not be imported."""
    files = (ROOT / "polymorph_ros").rglob("*.py")
    chosen = [file for file in files if ">>> " in file.read_text(encoding="utf-8")]
    parts = [file.relative_to(ROOT).with_suffix("").parts for file in sorted(chosen)]
    return [".".join(part[:-1] if part[-1] == "__init__" else part) for part in parts]


def test_there_are_examples() -> None:
    assert "polymorph_ros.errors" in modules_with_examples()


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_in_docstrings(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name.startswith("polymorph_ros.ros.") and importlib.util.find_spec("rclpy") is None:
        pytest.skip("ROS is not installed here")
    furnish(tmp_path)
    monkeypatch.chdir(tmp_path)

    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)

    assert result.attempted > 0
    assert result.failed == 0
