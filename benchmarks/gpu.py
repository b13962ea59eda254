"""Everything that needs a GPU, proved and measured by one command within minutes.

    PYTHONPATH=. python benchmarks/gpu.py [--minutes 8] [--sections engine,memory]

It needs neither ROS nor an installed package. Results are in the JSON file after every section: a
section that fails, hangs or lacks a package is listed there and costs only itself. Without a GPU it
says so. ``--device cpu --quick`` tries the code of every section. The sections: docs/benchmarks.md.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from parts.gpu.document import (
    new_document,
    read_document,
    without_sections,
    write_document,
)
from parts.gpu.sections import SECTIONS
from parts.gpu.supervisor import supervise

_RESULTS = Path(__file__).resolve().parent / "results"
_ASK = "import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')"


def main(
    minutes: Annotated[float, typer.Option(min=0.1, help="All must be over by then.")] = 8.0,
    sections: Annotated[str, typer.Option(help="Some of them, by commas.")] = ",".join(SECTIONS),
    device: Annotated[str, typer.Option(help="cuda; cpu to try the code.")] = "cuda",
    quick: Annotated[bool, typer.Option(help="Tiny sizes: tries the code.")] = False,
    json: Annotated[Path | None, typer.Option(help="Where the results go.")] = None,
    keep: Annotated[bool, typer.Option(help="Keep the file's other sections.")] = False,
) -> None:
    """Run the sections one after another."""
    end = time.time() + 60.0 * minutes
    names = sections.split(",")
    unknown = [name for name in names if name not in SECTIONS]
    if unknown or device not in ("cpu", "cuda"):
        typer.echo(f"error: expected cpu or cuda and some of {', '.join(SECTIONS)}", err=True)
        raise typer.Exit(1)
    gpu = _gpu_name() if device == "cuda" else ""
    if device == "cuda" and not gpu:
        typer.echo("no GPU")
        return
    path = (json or _default_path(gpu)).resolve()
    kept = read_document(path) if keep and path.is_file() else new_document(minutes, quick)
    write_document(path, without_sections(kept, names))
    document = supervise(path, device, end, names)
    _print(document)
    typer.echo(f"results: {os.path.relpath(path)}")


def _default_path(gpu: str) -> Path:
    from parts.machine import machine_name

    return _RESULTS / f"gpu-{machine_name(gpu)}.json"


def _gpu_name() -> str:
    """The GPU's name, asked by another process: this one never takes any of its memory."""
    asked = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True)
    if asked.returncode != 0:
        typer.echo(asked.stderr.strip().splitlines()[-1], err=True)
    return asked.stdout.strip()


def _print(document: dict[str, object]) -> None:
    """A short table: what each section has to say, then how each ended."""
    found: dict[str, dict[str, object]] = document["sections"]  # type: ignore[assignment]
    for section in found.values():
        for line in section.get("lines", []):  # type: ignore[attr-defined]
            typer.echo(line)
    for name, section in found.items():
        typer.echo(f"{name:14} {section['state']:10} {section.get('seconds', '-')} s")
    for failure in document["failures"]:  # type: ignore[attr-defined]
        typer.echo(f"FAILED {failure['section']}: {failure['error']}")


if __name__ == "__main__":
    typer.run(main)
