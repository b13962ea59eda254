"""What the three ways in have in common: a copy of the repository, and a clean environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
# What a source archive of the repository holds, without tests, documents and built files.
PARTS = (
    "package.xml", "CMakeLists.txt", "cmake", "scripts", "msg", "srv", "launch", "config",
    "bundles", "polymorph_ros", "pyproject.toml", "setup.py", "requirements", "constraints.txt",
    "README.md", "LICENSE", "test",
)  # fmt: skip


class Run(Protocol):
    """Runs a command outside the repository and returns what it printed; it must succeed."""

    def __call__(
        self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None
    ) -> str: ...


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository, since builds write into their source folder."""
    copy = tmp_path_factory.mktemp("source") / "polymorph_ros"
    copy.mkdir()
    for part in PARTS:
        origin = REPOSITORY / part
        if origin.is_dir():
            shutil.copytree(origin, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        elif origin.is_file():
            shutil.copy2(origin, copy / part)
    return copy


@pytest.fixture(scope="session")
def messages_prefix() -> Path:
    """This environment, if `make build` has installed the package into it."""
    prefix = Path(sys.prefix)
    if not (prefix / "share" / "polymorph_ros" / "package.xml").is_file():
        pytest.skip("polymorph_ros is not installed into this environment: run `make build`")
    return prefix


@pytest.fixture(scope="session")
def run() -> Run:
    def run(command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None) -> str:
        clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
        clean["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{clean.get('PATH', '')}"
        done = subprocess.run(
            list(command), cwd=cwd, env={**clean, **(env or {})}, text=True,
            capture_output=True, timeout=900, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run
