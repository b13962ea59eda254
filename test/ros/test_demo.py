"""Pins the demo as a user runs it: its processes, DDS between them, the files and the exit code.

The node runs a tiny bundle with random weights, so nothing is said here about accuracy. Not
pinned: how the live view looks in a terminal.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CAMVID = ROOT.parent / "shared" / "data" / "camvid" / "bag_0016E5_15hz"
DEADLINE_S = 400.0

pytestmark = pytest.mark.slow


def demo_command(out: Path, *words: object) -> list[str]:
    return [
        sys.executable, "-m", "polymorph_ros.ros.demo", "--no-live", "--out", str(out),
        *map(str, words),
    ]  # fmt: skip


def environment(tmp_path: Path) -> dict[str, str]:
    without = {key: value for key, value in os.environ.items() if key != "ROS_DOMAIN_ID"}
    return {
        **without, "ROS_LOG_DIR": str(tmp_path), "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
    }  # fmt: skip


def run_demo(tmp_path: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        demo_command(tmp_path / "out", *words),
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def metrics_of(tmp_path: Path) -> dict[str, object]:
    metrics: dict[str, object] = json.loads((tmp_path / "out" / "summary.json").read_text())
    return metrics


def test_synthetic_scenes_are_played_and_summed_up(tmp_path: Path, bundle_root: Path) -> None:
    done = run_demo(tmp_path, "--seconds", 3, "--bundle", bundle_root / "tiny")

    assert done.returncode == 0, done.stdout + done.stderr
    metrics = metrics_of(tmp_path)
    assert metrics["published"] == 30
    assert metrics["answered"] + metrics["dropped"] == 30
    assert metrics["answered"] > 0
    assert metrics["received"] == 30
    assert metrics["faults"] == []
    assert metrics["energy_source"] in ("uncalibrated_estimate", "rapl", "jetson_rails", "nvml")
    assert metrics["latency_p50_s"] > 0
    assert (tmp_path / "out" / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert "every frame is accounted for" in done.stdout


def test_a_bundle_below_its_own_floor_fails_the_demo(tmp_path: Path, bundle_root: Path) -> None:
    bundle = with_floor(bundle_root / "tiny", tmp_path / "proud", floor=1.5)

    done = run_demo(tmp_path, "--seconds", 2, "--bundle", bundle)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "is not above the bundle's floor 1.500" in done.stdout
    assert metrics_of(tmp_path)["mean_ap_floor"] == 1.5


def test_a_bundle_that_cannot_be_loaded_ends_the_demo_with_one_line(tmp_path: Path) -> None:
    done = run_demo(tmp_path, "--seconds", 1, "--bundle", tmp_path / "nowhere")

    assert done.returncode == 1
    assert "error:" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_ctrl_c_ends_all_processes(tmp_path: Path, bundle_root: Path) -> None:
    words = ("--seconds", 60, "--rate", 5, "--bundle", bundle_root / "tiny")
    log = tmp_path / "words"
    with log.open("w") as sink:
        running = subprocess.Popen(
            demo_command(tmp_path / "out", *words),
            env=environment(tmp_path), stdout=sink, stderr=sink, start_new_session=True,
        )  # fmt: skip
    try:
        wait_for_words(log, "playing", running)
        os.killpg(running.pid, signal.SIGINT)
        code = running.wait(DEADLINE_S)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)

    said = log.read_text() + (tmp_path / "out" / "node.log").read_text()
    assert code == 130, said
    assert "Traceback" not in said
    with pytest.raises(ProcessLookupError):
        os.killpg(running.pid, 0)


@pytest.mark.skipif(not CAMVID.is_dir(), reason=f"no evaluation data at {CAMVID}")
def test_a_bag_of_real_video_is_answered_to_the_last_frame(
    tmp_path: Path, bundle_root: Path
) -> None:
    done = run_demo(tmp_path, "--bag", CAMVID, "--bundle", bundle_root / "tiny")

    assert done.returncode == 0, done.stdout + done.stderr
    metrics = metrics_of(tmp_path)
    assert metrics["published"] == 101
    assert metrics["answered"] + metrics["dropped"] == 101
    assert metrics["mean_ap"] is None


def with_floor(bundle: Path, copy: Path, floor: float) -> Path:
    """A copy of a bundle that states a floor; only the manifest differs."""
    shutil.copytree(bundle, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["metrics"]["mean_ap_floor"] = floor
    (copy / "manifest.json").write_text(json.dumps(manifest))
    return copy


def wait_for_words(log: Path, words: str, running: subprocess.Popen[bytes]) -> None:
    """Wait until a running demo has said something."""
    end = time.monotonic() + DEADLINE_S
    pause = threading.Event()
    while words not in log.read_text():
        assert running.poll() is None, log.read_text()
        assert time.monotonic() < end, f"the demo did not say {words!r} in time"
        pause.wait(0.05)
