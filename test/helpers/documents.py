"""The documents as tests read them, and the files that their snippets may name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^( *)(```+|~~~+) *([\w+-]*)")
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code, fenced or indented: its language, its first line's number, its lines.

    ``before`` is the last line above the block that is not empty.
    """

    language: str
    line: int
    lines: tuple[str, ...]
    before: str


def pages() -> list[Path]:
    """What a reader of the repository meets: README.md, CONTRIBUTING.md and docs/."""
    top = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    return [*filter(Path.is_file, top), *sorted((ROOT / "docs").rglob("*.md"))]


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(text: str) -> Iterator[Block]:
    """A page's blocks of code. An indented one starts after an empty line."""
    lines = text.splitlines()
    number, before, was_empty = 0, "", True
    while number < len(lines):
        line = lines[number]
        fence = _FENCE.match(line)
        start = number
        if fence:
            indent, mark, language = fence.groups()
            number += 1
            while number < len(lines) and not lines[number].strip().startswith(mark):
                number += 1
            inside = lines[start + 1 : number]
            cut = tuple(row.removeprefix(indent) for row in inside)
            yield Block(language, start + 2, cut, before)
            number, before = number + 1, line
        elif was_empty and line.startswith("    ") and not before.lstrip().startswith(("- ", "1.")):
            while number < len(lines) and (lines[number].startswith("    ") or not lines[number]):
                number += 1
            yield Block("", start + 1, tuple(row[4:] for row in lines[start:number]), before)
            before = line
        else:
            number += 1
            before = line if line.strip() else before
        was_empty = not lines[number - 1].strip()


def prose(text: str) -> str:
    """A page without its blocks of code; lines keep their numbers."""
    lines = text.splitlines()
    for block in blocks(text):
        for offset in range(len(block.lines)):
            lines[block.line - 1 + offset] = ""
    return "\n".join("" if _FENCE.match(line) else line for line in lines)


def spans(text: str) -> Iterator[str]:
    """The code in a page's running text, each in one line."""
    for match in _SPAN.finditer(prose(text)):
        yield " ".join(match[2].split())


def commands(text: str) -> Iterator[str]:
    """A page's command lines: in blocks of shell, after ``$`` where there is one, and in spans."""
    for block in blocks(text):
        if block.language in ("", "sh", "bash", "shell", "console"):
            rows = "\n".join(block.lines).replace("\\\n", " ").splitlines()
            asked = [row.strip()[2:] for row in rows if row.strip().startswith("$ ")]
            for row in asked or rows:
                yield from (part.strip() for part in re.split(r" && |; | \| ", row))
    yield from spans(text)


def furnish(folder: Path) -> None:
    """Put into a folder what snippets may name.

    ``bundles/default``; ``image.jpg``; ``kitchen.csv`` with the pictures of ``kitchen/``; two
    recordings in ``drives/`` with ``drives.csv``; ``video.avi``. Pictures are noise.
    """
    from helpers.recordings import write_bag, write_video

    rng = np.random.default_rng(0)
    (folder / "bundles").symlink_to(ROOT / "bundles")
    (folder / "kitchen").mkdir()
    for name in ("image.jpg", "kitchen/000360.jpg", "kitchen/000375.jpg"):
        noise = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        assert cv2.imwrite(str(folder / name), noise)
    (folder / "kitchen.csv").write_text(
        "sequence,stamp,file,labels,unknown\n"
        "kitchen,12.0,kitchen/000360.jpg,oven|mug,\n"
        "kitchen,12.5,kitchen/000375.jpg,oven,mug\n"
    )
    rows = ["sequence,stamp,labels"]
    for drive in ("drive00", "drive01"):
        write_bag(folder / "drives" / drive, [1.0, 1.5])
        rows += [f"{drive},1.0,lamp", f"{drive},1.5,lamp|door"]
    (folder / "drives.csv").write_text("\n".join(rows) + "\n")
    write_video(folder / "video.avi", 3)
