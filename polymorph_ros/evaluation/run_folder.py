"""Where an evaluation writes its results."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import write_json

_PARTIAL = "partial"


@dataclass(frozen=True)
class RunFolder:
    """The folder of one evaluation.

    ``run.json`` says what decides the results; ``frames/`` has a Parquet file for each method and
    sequence; ``bags/`` the answers as recordings; ``summary.json`` and ``report.html`` the rest.
    """

    path: Path

    def frames(self, method: str, index: int, sequence: str, *, partial: bool = False) -> Path:
        """File of one method's frames of one sequence; ``partial`` for one that was broken off."""
        folder = self.path / (_PARTIAL if partial else "frames") / f"method={method}"
        return folder / f"{_stem(index, sequence)}.parquet"

    def bag(self, index: int, sequence: str) -> Path:
        """Folder of the answers to one sequence."""
        return self.path / "bags" / _stem(index, sequence)

    def live(self, index: int, sequence: str) -> Path:
        """Folder of what the real node answered to one recording."""
        return self.path / "live" / _stem(index, sequence)

    def logs_of(self, method: str) -> list[Path]:
        """A method's finished files in the order of the sequences, then one that was broken off."""
        folder = f"method={method}"
        return [
            *sorted((self.path / "frames" / folder).glob("[!.]*.parquet")),
            *sorted((self.path / _PARTIAL / folder).glob("[!.]*.parquet")),
        ]

    def claim(self, key: Mapping[str, Any]) -> None:
        """Say whose results these are, before any is written.

        Raises:
            PolymorphError: results of another bundle, data or setting are there already.
        """
        file = self.path / "run.json"
        if file.is_file():
            found = json.loads(file.read_text(encoding="utf-8"))
            wanted = json.loads(json.dumps(key))
            other = [name for name in wanted if found.get(name) != wanted[name]]
            if other:
                raise PolymorphError(
                    "a new folder, or one with results of the same run",
                    f"results of another one (it differs in: {', '.join(other)})",
                    where=str(self.path),
                    remedy="choose another --out, or remove the folder",
                )
            return
        if self.path.exists() and any(self.path.iterdir()):
            raise PolymorphError(
                "a new or empty folder", "one with other files", where=str(self.path),
                remedy="choose another --out",
            )  # fmt: skip
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(file, key)


def _stem(index: int, sequence: str) -> str:
    return f"{index:04d}-{re.sub(r'[^A-Za-z0-9_.-]+', '_', sequence)[:60]}"
