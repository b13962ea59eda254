"""``benchmarks/gpu.py`` where there is no GPU: it says so, and loses no results whatever happens.

Pins: one line and success without a GPU; a section that raises is listed with its traceback, and
the next one runs; one whose process dies costs only itself; the file is whole after a kill. Leaves
open: what the sections measure, and all that needs a GPU.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from parts.gpu.bench import Bench
from parts.gpu.document import (
    close_section,
    new_document,
    read_document,
    without_sections,
    write_document,
)
from parts.gpu.sections import Section
from parts.gpu.worker import run_sections

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 240.0


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "benchmarks/gpu.py", *words],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(condition: Callable[[], Any]) -> Any:
    """What the condition gives, once it gives something."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("the condition did not come true")


def works(bench: Bench) -> None:
    bench.add({"answer": 42})


def fails(bench: Bench) -> None:
    bench.add({"half": "kept"})
    raise ValueError("the section is broken")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_says_so_and_succeeds() -> None:
    process = start("--minutes", "1")

    output, _ = process.communicate(timeout=DEADLINE_S)

    assert (process.returncode, output) == (0, "no GPU\n")


def test_a_section_that_raises_is_listed_and_the_next_runs(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_document(path, new_document(1.0, quick=True))
    sections = {
        "bad": Section(__name__, "fails", 1.0),
        "missing": Section("no_such_package", "measure", 1.0),
        "good": Section(__name__, "works", 1.0),
    }

    code = run_sections(path, torch.device("cpu"), time.time() + 60.0, sections)

    document = read_document(path)
    states = {name: section["state"] for name, section in document["sections"].items()}
    assert code == 0
    assert states == {"bad": "failed", "missing": "failed", "good": "done"}
    assert document["sections"]["bad"]["half"] == "kept"
    assert document["sections"]["good"]["answer"] == 42
    bad, missing = document["failures"]
    assert bad["error"] == "ValueError: the section is broken" and "in fails" in bad["traceback"]
    assert "no_such_package" in missing["error"]


def test_no_section_begins_when_time_is_over(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_document(path, new_document(1.0, quick=True))

    run_sections(path, torch.device("cpu"), time.time(), {"good": Section(__name__, "works", 1.0)})

    assert read_document(path)["sections"] == {}


def test_kills_cost_a_section_or_the_rest_and_never_the_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    words = ("--device", "cpu", "--quick", "--minutes", "4", "--json", str(path))
    process = start(*words, "--sections", "joules,environment,memory")

    def running(name: str) -> bool:
        document = json.loads(path.read_text()) if path.exists() else {}
        return bool(document.get("running")) and document["running"]["section"] == name

    wait_for(lambda: running("joules"))
    (worker,) = psutil.Process(process.pid).children()
    worker.kill()
    wait_for(lambda: running("memory"))
    (second,) = psutil.Process(process.pid).children()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=DEADLINE_S)

    document = json.loads(path.read_text())
    assert not second.is_running()
    assert document["sections"]["joules"]["state"] == "failed"
    assert document["sections"]["environment"]["state"] == "done"
    (failure,) = document["failures"]
    assert failure["section"] == "joules" and "ended with -9" in failure["error"]


def test_a_second_run_replaces_the_sections_that_it_names() -> None:
    document = new_document(1.0, quick=True)
    close_section(document, "engine", "done")
    close_section(document, "memory", "failed", "ValueError: broken")

    left = without_sections(document, ["memory"])

    assert list(left["sections"]) == ["engine"]
    assert left["failures"] == []
