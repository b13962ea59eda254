"""The results of ``benchmarks/gpu.py`` as a file, which is whole at every moment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from parts.metrics import Results
from polymorph_ros.files import write_json


def new_document(minutes: float, quick: bool) -> Results:
    """What the file holds before the first section."""
    return {
        "benchmark": "gpu",
        "minutes": minutes,
        "quick": quick,
        "sections": {},
        "failures": [],
        "running": None,
    }


def read_document(path: Path) -> Results:
    """The document as it was last written."""
    document: Results = json.loads(path.read_text(encoding="utf-8"))
    return document


def without_sections(document: Results, names: Sequence[str]) -> Results:
    """The document without what it says of some sections."""
    sections = {name: each for name, each in document["sections"].items() if name not in names}
    failures = [each for each in document["failures"] if each["section"] not in names]
    return {**document, "sections": sections, "failures": failures}


def close_section(document: Results, name: str, state: str, error: str = "") -> None:
    """Note how a section ended: ``done``, ``failed``, or ``not run``; and its traceback."""
    section = document["sections"].setdefault(name, {})
    section["state"] = state
    section["ended"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
    document["running"] = None
    if error:
        last = error.strip().splitlines()[-1]
        document["failures"].append({"section": name, "error": last, "traceback": error})


def write_document(path: Path, document: Results) -> None:
    """Replace the file, whole or not at all."""
    write_json(path, document)
