"""Pins that what the documents name is there: files and headings that they link to, commands of
`polymorph` with their options, targets of make, and scripts. Open: links to other sites."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from helpers.documents import ROOT, commands, page_id, pages, prose
from polymorph_ros.cli.main import app

_LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
_SCRIPT = re.compile(r"(?:\S*/)?python3? ((?:examples|benchmarks|scripts)/[\w/]+\.py)")
_PLACEHOLDER = re.compile(r"[…<\[({A-Z]|\.\.\.")

every_page = pytest.mark.parametrize("page", pages(), ids=page_id)


def headings(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    found: set[str] = set()
    for title in re.findall(r"^#+ +(.+?) *#*$", prose(page.read_text(encoding="utf-8")), re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()
        anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        again = sum(anchor == other or other.startswith(f"{anchor}-") for other in found)
        found |= {anchor} | ({f"{anchor}-{again}"} if again else set())
    return found


def broken_links(page: Path) -> Iterator[str]:
    for target in _LINK.findall(prose(page.read_text(encoding="utf-8"))):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists():
            yield f"{target}: no such file"
        elif anchor and file.suffix == ".md" and anchor not in headings(file):
            yield f"{target}: no such heading"


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


def words(line: str) -> list[str]:
    """A command line's words, without comments and what the shell does with the output."""
    try:
        found = shlex.split(line, comments=True)
    except ValueError:  # an apostrophe of running text
        found = line.split()
    ends = [n for n, word in enumerate(found) if word in ("|", "||", "&&", ";", ">", "&")]
    return found[: ends[0]] if ends else found


def wrong_command(line: str) -> str | None:
    """What `polymorph` would not know of a command line."""
    command: Any = typer.main.get_command(app)
    name, *rest = words(line)
    for place, word in enumerate(rest):
        known = getattr(command, "commands", None)
        if known is None:
            break
        if word.startswith("-"):
            rest = rest[place:]
            break
        if _PLACEHOLDER.match(word):
            return None
        if word not in known:
            return f"{name} has no command {word}: {line}"
        command, name = known[word], f"{name} {word}"
    options = {option for given in command.params for option in given.opts + given.secondary_opts}
    for word in rest:
        option = re.match(r"\[*(--?[a-z][\w-]*)", word)
        if option and option[1] not in options | {"--help"}:
            return f"{name} has no option {option[1]}: {line}"
    return None


@every_page
def test_commands_exist(page: Path) -> None:
    lines = [
        line
        for line in commands(page.read_text(encoding="utf-8"))
        if re.match(r"polymorph\s", line)
    ]

    assert [fault for line in lines if (fault := wrong_command(line))] == []


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("polymorph evaluate --bundle B --data D --out DIR", True),
        ("polymorph data check PATH [--labels CSV]", True),
        ("polymorph --version", True),
        ("polymorph …", True),
        ("polymorph evaluat --bundle B", False),
        ("polymorph data check PATH [--lables CSV]", False),
        ("polymorph data --labels", False),
    ],
)
def test_a_wrong_command_is_noticed(line: str, right: bool) -> None:
    assert (wrong_command(line) is None) == right


@every_page
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.M))
    named = {
        word
        for line in commands(page.read_text(encoding="utf-8"))
        if line.startswith("make ")
        for word in words(line)[1:]
        if re.fullmatch(r"[a-z][\w-]*", word)
    }

    assert named - targets == set()


@every_page
def test_scripts_exist(page: Path) -> None:
    named = {
        found[1]
        for line in commands(page.read_text(encoding="utf-8"))
        if (found := _SCRIPT.match(line))
    }

    assert {name for name in named if not (ROOT / name).is_file()} == set()
