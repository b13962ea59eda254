"""The GPU tests, in a process of their own: how many passed, and what failed."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from parts.gpu.bench import Bench
from parts.gpu.supervisor import environment
from parts.metrics import Results

_ROOT = Path(__file__).resolve().parents[3]
_MARKED = re.compile(r"mark\.gpu\b|\bneeds_gpu\b|helpers\.gpu\b")
_TAIL = 6000  # characters of what pytest said


def run(bench: Bench) -> None:
    """Run every test file that has a GPU test; only the marked tests of each."""
    files = [str(file) for file in _marked_files()]
    bench.results["files"] = [str(Path(file).relative_to(_ROOT)) for file in files]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        words = [
            *(sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider"),
            *("--continue-on-collection-errors", "--junitxml", str(report), *files),
        ]
        limit = max(5.0, 1.6 * bench.left_s())
        try:
            done = subprocess.run(
                words, cwd=_ROOT, env=environment(), capture_output=True, text=True, timeout=limit
            )
            bench.add({"ended_with": done.returncode, "output": done.stdout[-_TAIL:]})
        except subprocess.TimeoutExpired as error:
            output = (error.stdout or b"").decode(errors="replace")
            bench.add({"ended_with": f"over {limit:.0f} s", "output": output[-_TAIL:]})
        if report.is_file():
            bench.add(_summary(report))
    numbers = {name: bench.results.get(name) for name in ("passed", "failed", "skipped")}
    bench.say(f"GPU tests: {numbers}, ended with {bench.results['ended_with']}")
    for name in bench.results.get("failed_tests", []):
        bench.say(f"  FAILED: {name}")
    if bench.on_gpu and bench.results["ended_with"] != 0:
        raise RuntimeError(f"the GPU tests failed:\n{bench.results['output']}")


def _marked_files() -> list[Path]:
    files = sorted((_ROOT / "test").rglob("test_*.py"))
    return [file for file in files if _MARKED.search(file.read_text(encoding="utf-8"))]


def _summary(report: Path) -> Results:
    """Numbers and names out of pytest's XML report."""
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))

    def having(*kinds: str) -> list[str]:
        return [
            f"{case.get('classname')}::{case.get('name')}"
            for case in cases
            if any(case.find(kind) is not None for kind in kinds)
        ]

    failed, skipped = having("failure", "error"), having("skipped")
    return {
        "passed": len(cases) - len(failed) - len(skipped),
        "failed": len(failed),
        "skipped": len(skipped),
        "failed_tests": failed,
        "slowest_s": max((float(case.get("time", 0.0)) for case in cases), default=0.0),
    }
