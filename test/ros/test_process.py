"""Pins the node as a process: Ctrl-C and SIGTERM at any moment, once or twice, end it with code 0
no traceback and none of its shared memory left; what cannot start says so in one line; instances
live side by side."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.ros_peer import Peer, picture
from helpers.ros_process import NodeProcess
from helpers.tiny_bundle import add_ballast
from polymorph_ros.msg import LabelArray
from polymorph_ros.ros.harness.images import image_message
from polymorph_ros.ros.harness.process import NODE_MODULE

SIGNALS = [(signal.SIGINT,), (signal.SIGTERM,), (signal.SIGINT, signal.SIGINT)]


def parameters(bundle: Path, **more: object) -> dict[str, object]:
    return {"bundle": bundle, "device": "cpu", "cpu_threads": 1, "autostart": True, **more}


def segments(process: NodeProcess) -> set[Path]:
    """The shared memory of a process's DDS participant, without that of the test's own."""

    def mapped(pid: int) -> set[str]:
        maps = Path(f"/proc/{pid}/maps").read_text()
        return set(re.findall(r"/dev/shm/fastdds_[0-9a-f]{16}\b", maps))

    return {Path(path) for path in mapped(process.pid) - mapped(os.getpid())}


def assert_ended_well(process: NodeProcess) -> None:
    assert process.end() == 0, process.output
    assert "Traceback" not in process.output
    assert "no result for a frame" not in process.output, "the end is no fault of a frame"


@pytest.mark.parametrize("signals", SIGNALS, ids=["SIGINT", "SIGTERM", "twice"])
def test_a_signal_while_idle_ends_it_well(
    bundle_root: Path, signals: tuple[signal.Signals, ...]
) -> None:
    with NodeProcess(parameters=parameters(bundle_root / "tiny")) as process:
        process.wait_for_words("ready after")
        used = segments(process)
        assert used, "without shared memory there is nothing to see here"
        for number in signals:
            process.send(number)

        assert_ended_well(process)
    assert not [path for path in used if path.exists()]


@pytest.mark.parametrize("signals", SIGNALS, ids=["SIGINT", "SIGTERM", "twice"])
def test_a_signal_during_inference_ends_it_well(
    peer: Peer, bundle_root: Path, signals: tuple[signal.Signals, ...]
) -> None:
    with NodeProcess(parameters=parameters(bundle_root / "tiny")) as process:
        heard = peer.listen(LabelArray, "polymorph/labels")
        images = peer.images("image")

        def stream_is_answered() -> bool:
            return len([m for m in heard if m.state != LabelArray.STATE_NO_DATA]) >= 5

        with peer.camera(images, 480, 640):
            peer.wait_for(stream_is_answered, "a stream of answers")
        used = segments(process)
        images.publish(image_message(picture(0, 480, 640), stamp_ns=peer.now_ns()))
        for number in signals:
            process.send(number)

        assert_ended_well(process)
    assert not [path for path in used if path.exists()]


@pytest.fixture(scope="module")
def endless_bundle(bundle_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose checksums take minutes: only an interrupted configure ends before."""
    folder = tmp_path_factory.mktemp("endless") / "bundle"
    shutil.copytree(bundle_root / "tiny", folder)
    return add_ballast(folder, 1 << 38, sha256="0" * 64)


@pytest.mark.parametrize("signals", SIGNALS, ids=["SIGINT", "SIGTERM", "twice"])
def test_a_signal_during_configure_ends_it_well(
    endless_bundle: Path, signals: tuple[signal.Signals, ...]
) -> None:
    with NodeProcess(parameters=parameters(endless_bundle)) as process:
        process.wait_for_words("loading")
        for number in signals:
            process.send(number)

        assert_ended_well(process)
        assert "[ERROR]" not in process.output, "the end was asked for"


def test_a_signal_before_the_node_exists_ends_it_well(bundle_root: Path) -> None:
    with NodeProcess("--log-level", "rcl:=debug", parameters=parameters(bundle_root)) as process:
        process.wait_for_words("rcl")  # the first words of rclpy.init: there is no node yet
        process.send(signal.SIGINT)

        assert process.end() == 0, process.output
        assert "Traceback" not in process.output


def test_a_signal_while_modules_are_imported_ends_it_at_once(bundle_root: Path) -> None:
    with NodeProcess(
        parameters=parameters(bundle_root / "tiny"), interpreter=("-X", "importtime")
    ) as process:
        process.wait_for_words("rclpy")  # one of the first; the model's modules are still to come
        process.send(signal.SIGINT)

        assert process.end() == 0
        assert "Traceback" not in process.output
        assert "polymorph_ros.ros.node" not in process.output, "its imports were cut short"


def test_arguments_that_cannot_be_parsed_are_one_line_and_code_1() -> None:
    with NodeProcess("-p", "not a parameter") as process:
        assert process.end() == 1
        assert "polymorph cannot start:" in process.output
        assert "Traceback" not in process.output


def test_two_instances_live_side_by_side(peer: Peer, bundle_root: Path) -> None:
    front = NodeProcess("-r", "__ns:=/front", parameters=parameters(bundle_root / "tiny"))
    rear = NodeProcess(
        "-r", "__node:=lookout", "-r", "__ns:=/rear", parameters=parameters(bundle_root / "other")
    )
    with front, rear:
        heard = {
            "front": peer.listen(LabelArray, "/front/polymorph/labels"),
            "rear": peer.listen(LabelArray, "/rear/lookout/labels"),
        }
        images = {side: peer.images(f"/{side}/image") for side in heard}

        def answers(side: str) -> list[LabelArray]:
            return [m for m in heard[side] if m.state != LabelArray.STATE_NO_DATA]

        front_camera = peer.camera(images["front"], frame_id="front")
        rear_camera = peer.camera(images["rear"], frame_id="rear")
        with front_camera, rear_camera:
            peer.wait_for(lambda: all(answers(side) for side in heard), "answers of both")
        for process in (front, rear):
            process.send(signal.SIGINT)
            assert_ended_well(process)

    names = {side: answers(side)[0].labels[0].name for side in heard}
    assert names == {"front": "person", "rear": "boat"}
    assert all(m.header.frame_id == side for side in heard for m in answers(side))


@pytest.mark.parametrize("home", [None, "/proc/nowhere"])
def test_case_41_without_a_log_folder_it_names_ros_log_dir_in_one_line(home: str | None) -> None:
    given = {"PATH", "PYTHONPATH", "AMENT_PREFIX_PATH", "ROS_DOMAIN_ID"}
    environment = {name: value for name, value in os.environ.items() if name in given}
    if home is not None:
        environment["HOME"] = home

    ended = subprocess.run(
        [sys.executable, "-m", NODE_MODULE], env=environment, capture_output=True, text=True
    )

    lines = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert len(lines) == 1, lines
    assert lines[0].startswith("polymorph cannot start: ")
    assert "set ROS_LOG_DIR" in lines[0]


def test_case_41_with_a_log_folder_it_runs_without_home(
    bundle_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME", raising=False)
    with NodeProcess(parameters=parameters(bundle_root / "tiny")) as process:
        process.wait_for_words("active: ")
        process.send(signal.SIGINT)
        assert_ended_well(process)
