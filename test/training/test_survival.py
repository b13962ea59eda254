"""Pins `polymorph train` as a process: killed at any moment and started again it ends with the same
bundle, a full disk is one line, two runs keep out of each other's way.
"""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from helpers.quick_training import QUICK
from polymorph_ros.bundle.reader import read_bundle
from polymorph_ros.training.artifacts import sole_use

KILLS = 3
DEADLINE_S = 240.0


def start(folder: Path, **options: object) -> subprocess.Popen[str]:
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(QUICK))
    places = ["--out", str(folder / "bundle"), "--work", str(folder / "work")]
    return subprocess.Popen(
        [sys.executable, "-m", "polymorph_ros.cli.main", "train", str(config), *places],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=DEADLINE_S)
    return output


def entries(work: Path) -> int:
    # Unlike rglob, walk goes on where the other process has renamed a folder meanwhile.
    return sum(len(folders) + len(files) for _, folders, files in os.walk(work))


def kill_at(process: subprocess.Popen[str], work: Path, count: int) -> None:
    """End the process without notice as soon as there are so many files in its work folder."""
    deadline = time.monotonic() + DEADLINE_S
    while process.poll() is None and entries(work) < count and time.monotonic() < deadline:
        try:
            process.wait(0.002)
        except subprocess.TimeoutExpired:
            continue
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bundle(tmp_path: Path) -> None:
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    undisturbed.mkdir()
    disturbed.mkdir()
    process = start(undisturbed)
    assert finish(process) and process.returncode == 0
    total = entries(undisturbed / "work")
    moments = sorted(random.Random(7).sample(range(2, total), KILLS))

    for moment in moments:
        kill_at(start(disturbed), disturbed / "work", moment)
    process = start(disturbed)
    output = finish(process)

    assert process.returncode == 0, output
    first, second = (read_bundle(folder / "bundle") for folder in (undisturbed, disturbed))
    for entry in first.manifest.files:
        if entry.path.endswith(".safetensors"):
            one, other = (load_file(bundle.path / entry.path) for bundle in (first, second))
            assert one.keys() == other.keys()
            for name, tensor in one.items():
                difference = np.abs(tensor.astype(np.float64) - other[name]).max(initial=0)
                assert difference <= 1e-6, f"{entry.path} {name}"
    assert second.checksum == first.checksum


def test_a_full_disk_is_one_line_and_the_next_run_is_not_told_of_it(tmp_path: Path) -> None:
    limit = 200_000  # bytes of a file: less than the rendered pictures

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    process = start(tmp_path, preexec_fn=small_disk)
    output = finish(process)

    assert process.returncode == 1
    told = [line for line in output.splitlines() if "error:" in line]
    assert len(told) == 1
    assert "room on the disk" in told[0]
    assert "run the same command again" in told[0]
    assert "Traceback" not in output


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with sole_use(tmp_path / "work"):
        process = start(tmp_path)
        output = finish(process)

    assert process.returncode == 1
    assert "in use" in output
    assert "Traceback" not in output
