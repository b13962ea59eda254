"""The requirement files against the code and against each other.

Pins: the library requires what it imports and imports what it requires; everything that is
required is pinned by constraints.txt; all files that name a version name the same.
"""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from xml.etree import ElementTree

import yaml

import polymorph_ros

REPOSITORY = Path(__file__).resolve().parents[2]
_OURS = ("library", "evaluate", "label", "onnx", "ray")  # what rooms other than ros/ import


def names(requirements: Path) -> set[str]:
    """Distribution names of a requirement file, normalised."""
    lines = requirements.read_text().splitlines()
    return {normal(re.split(r"[\[<>=;! ]", line)[0]) for line in lines if line[:1].isalpha()}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported_modules(folder: Path) -> set[str]:
    """Top-level names that the Python files below a folder import."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return found


def test_library_requires_what_it_imports_and_nothing_else() -> None:
    rooms = [f for f in (REPOSITORY / "polymorph_ros").iterdir() if f.is_dir() and f.name != "ros"]
    imported = set().union(*map(imported_modules, rooms)) - {"polymorph_ros"}
    required = set().union(*(names(REPOSITORY / "requirements" / f"{file}.txt") for file in _OURS))
    distributions = packages_distributions()  # several may share one module's name
    providers = {
        module: {normal(name) for name in distributions[module]}
        for module in imported - set(sys.stdlib_module_names)
    }

    missing = {module for module, names_ in providers.items() if not names_ & required}
    unused = required - set().union(*providers.values())
    assert (missing, unused) == (set(), set())


def test_everything_required_is_pinned() -> None:
    pinned = names(REPOSITORY / "constraints.txt")

    for file in (*_OURS, "ros", "dev"):
        assert names(REPOSITORY / "requirements" / f"{file}.txt") - pinned == set()


def test_one_version_everywhere() -> None:
    package = ElementTree.parse(REPOSITORY / "package.xml").findtext("version")
    project = re.search(r'^version = "(.+)"$', (REPOSITORY / "pyproject.toml").read_text(), re.M)

    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())["version"]

    assert project is not None
    assert package == project[1] == citation == polymorph_ros.__version__
