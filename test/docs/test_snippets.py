"""Pins that the Python in README.md, CONTRIBUTING.md and docs/ runs: each page's blocks in their
order as one program, in a folder with the files of `helpers.documents.furnish`.

A block after the line `<!-- snippet: skip REASON -->` does not run, and its reason is shown. Open:
what a snippet's comments say that it prints.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from helpers.documents import ROOT, Block, blocks, furnish, page_id, pages

_SKIP = re.compile(r"<!-- snippet: skip (\S.*?) *-->")
_DEADLINE_S = 120


def program(text: str) -> str:
    """A page's Python without what is skipped; its lines have the page's numbers."""
    lines = [""] * len(text.splitlines())
    for block in blocks(text):
        if block.language == "python" and reason(block) is None:
            lines[block.line - 1 : block.line - 1 + len(block.lines)] = block.lines
    return "\n".join(lines).rstrip()


def reason(block: Block) -> str | None:
    """Why it is skipped, if it is."""
    found = _SKIP.search(block.before)
    return found[1] if found else None


def cases() -> Iterator[ParameterSet]:
    """The pages that have Python to run, and each block that is skipped."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if program(text):
            yield pytest.param(page, id=page_id(page))
        for block in blocks(text):
            if block.language == "python" and (why := reason(block)):
                name = f"{page_id(page)}:{block.line}"
                yield pytest.param(page, id=name, marks=pytest.mark.skip(reason=f"{name}: {why}"))


@pytest.mark.parametrize("page", cases())
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    furnish(tmp_path)
    script = tmp_path / f"{page.name}.py"
    script.write_text(program(page.read_text(encoding="utf-8")), encoding="utf-8")
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]

    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdin=subprocess.DEVNULL,
        text=True,
        capture_output=True,
        timeout=_DEADLINE_S,
        check=False,
    )

    assert done.returncode == 0, f"lines are those of {page_id(page)}\n{done.stderr}"


def test_a_block_is_skipped_only_with_a_reason() -> None:
    text = (
        "<!-- snippet: skip it needs a robot -->\n\n```python\nfly()\n```\n"
        "<!-- snippet: skip -->\n```python\nwalk()\n```\n"
        "\n- a list:\n\n  ```python\n  sit()\n  ```\n"
    )

    assert program(text).split() == ["walk()", "sit()"]


@pytest.mark.parametrize("page", pages(), ids=page_id)
def test_python_is_marked_so_that_it_is_found(page: Path) -> None:
    languages = {block.language for block in blocks(page.read_text(encoding="utf-8"))}

    assert not languages & {"py", "python3", "pycon", "Python"}, "write ```python"
