"""Label traces: what is true in real video, frame by frame, without its pictures.

A file has one JSON object per line (``.jsonl``, or ``.jsonl.gz``), one line per sequence::

    {"seq": "P01_01", "fps": 1, "frames": [["pan"], ["pan", "oven"], []]}
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from polymorph_ros.data.track import Track
from polymorph_ros.data.vocabulary import Vocabulary
from polymorph_ros.errors import PolymorphError


@dataclass(frozen=True)
class Trace:
    """The truth of several sequences over one vocabulary, all of it known."""

    name: str
    vocabulary: Vocabulary
    tracks: tuple[Track, ...]


def read_trace(path: Path | str) -> Trace:
    """Read a trace; its vocabulary is every label in it, in alphabetical order.

    Raises:
        PolymorphError: no such file, a line that is not such an object, or no label at all.
    """
    file = Path(path)
    rows = [_checked(document, where) for document, where in _documents(file)]
    names = sorted({label for _, _, frames in rows for frame in frames for label in frame})
    if not names:
        raise PolymorphError("a trace with labels", "none", where=str(file))
    vocabulary = Vocabulary(tuple(names))
    return Trace(
        file.name.split(".jsonl")[0],
        vocabulary,
        tuple(_track(name, hz, frames, vocabulary) for name, hz, frames in rows),
    )


def _documents(file: Path) -> Iterator[tuple[Any, str]]:
    try:
        content = file.read_bytes()
        text = (gzip.decompress(content) if file.suffix == ".gz" else content).decode()
    except FileNotFoundError:
        raise PolymorphError(
            "a trace (.jsonl or .jsonl.gz)", "no such file", where=str(file)
        ) from None
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise PolymorphError("a readable trace", str(error), where=str(file)) from None
    for number, line in enumerate(text.splitlines(), start=1):
        where = f"{file}, line {number}"
        try:
            if line.strip():
                yield json.loads(line), where
        except ValueError as error:
            raise PolymorphError("one JSON object", str(error), where=where) from None


def _checked(document: Any, where: str) -> tuple[str, float, list[list[str]]]:
    """A line's sequence name, frames per second and label lists."""
    try:
        name, hz, frames = document["seq"], float(document["fps"]), document["frames"]
        sound = hz > 0 and all(isinstance(label, str) for frame in frames for label in frame)
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        raise PolymorphError(
            '"seq", a positive "fps" and "frames", a list of lists of labels',
            json.dumps(document)[:80],
            where=where,
        )
    return str(name), hz, frames


def _track(name: str, hz: float, frames: list[list[str]], vocabulary: Vocabulary) -> Track:
    truth = np.zeros((len(frames), len(vocabulary)), dtype=np.int8)
    for row, labels in enumerate(frames):
        truth[row, list(vocabulary.ids_of(labels))] = 1
    return Track(truth, np.arange(len(frames)) / hz, name)
