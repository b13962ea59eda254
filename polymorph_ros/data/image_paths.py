"""Paths of pictures as labels write them: perhaps with backslashes, or of another computer."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath, PureWindowsPath

_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|.*\\", re.DOTALL)


def is_windows_path(text: str) -> bool:
    """Whether a path is written as on Windows: with a drive or backslashes."""
    return _WINDOWS.match(text) is not None


def picture_name(root: Path, text: str) -> str:
    r"""A picture's path relative to ``root``, as this system writes it; unaltered if it is so.

    Backslashes separate folders, unless there is a file of that very name. Of an absolute path
    that is not on this computer, the longest end that is a file below ``root`` is taken; where
    there is none, the path stays as it is written.

    >>> picture_name(Path("data"), "frames\\0001.jpg")
    'frames/0001.jpg'
    """
    windows = is_windows_path(text)
    if not (windows or text.startswith("/")) or os.path.isfile(root / text):
        return text
    path = PureWindowsPath(text) if windows else PurePosixPath(text)
    parts = path.parts[1:] if path.anchor else path.parts
    if not path.anchor:
        return "/".join(parts)
    for first in range(len(parts)):
        name = "/".join(parts[first:])
        if os.path.isfile(root / name):
            return name
    return text


def path_note(root: Path, written: list[str], names: list[str]) -> str:
    """What to say of paths that had to be rewritten; "" if none had."""
    changed = sum(text != name for text, name in zip(written, names, strict=True))
    return f"{changed:,} paths of another system are read as lying in {root}" if changed else ""
