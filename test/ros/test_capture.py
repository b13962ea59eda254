"""Pins capture on the robot, over DDS: what is captured and what is not, by parameter and service;
that it keeps within its megabytes, survives a full disk and a kill, and is counted in diagnostics.
Open: `ros2 bag play` itself, which is not on this machine; test/data/test_captures.py reads the
recordings with rosbags.
"""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.parameter import Parameter

from helpers.ros_peer import Peer, latest_status, value_of
from helpers.ros_process import NodeProcess
from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.bundle.manifest import ReuseEntry, UnknownSceneEntry
from polymorph_ros.data.bags import read_bag_frames
from polymorph_ros.data.captures import CaptureFolder
from polymorph_ros.msg import LabelArray
from polymorph_ros.ros.harness.images import image_message
from polymorph_ros.srv import Capture

EVERY_SCENE = UnknownSceneEntry(threshold=1e-6, false_alarms=0.01)
REUSE = ReuseEntry(difference=0.5, max_age_s=60.0, pace=0.5, agreement=0.99)


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle to which every scene is unknown."""
    path = tmp_path_factory.mktemp("strange") / "strange"
    return write_tiny_bundle(path, on=0.02, unknown_scene=EVERY_SCENE).path


def view(number: int, size: int = 64) -> np.ndarray:
    """A picture of coarse random cells, unlike those of other numbers also to a network."""
    cells = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
    return np.ascontiguousarray(np.kron(cells, np.ones((size // 4, size // 4, 1), np.uint8)))


class Robot:
    """A camera that waits for each answer, and what the node reports of its captures."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self._heard = peer.listen(LabelArray, "polymorph/labels")
        self._reports = peer.listen(DiagnosticArray, "/diagnostics")
        self._images = peer.images("image")
        self._stamp_ns = 1_000_000_000

    def show(self, *images: np.ndarray) -> None:
        """Publishes pictures, each when the one before is answered."""
        for image in images:
            self._stamp_ns += 100_000_000
            count = len(self._heard)
            self._images.publish(image_message(image, stamp_ns=self._stamp_ns))
            self.peer.wait_for(lambda count=count: len(self._heard) > count, "an answer")

    def show_slowly(self, *images: np.ndarray) -> None:
        """Publishes pictures, each when what became of the one before is reported."""
        for image in images:
            before = self.considered()
            self.show(image)
            self.peer.wait_for(lambda before=before: self.considered() > before, "a capture")

    def considered(self) -> int:
        """Frames that were worth keeping, whatever became of them."""
        status = latest_status(self._reports, ": capture")
        keys = ("captured", "alike", "busy", "failed")
        return sum(int(value_of(status, key)) for key in keys) if status else 0

    def counts(self, **wanted: int) -> None:
        """Waits until diagnostics say so of the captures."""
        found: dict[str, str] = {}

        def same() -> bool:
            status = latest_status(self._reports, ": capture")
            if status is not None:
                found.update({key: value_of(status, key) for key in wanted})
            return found == {key: str(value) for key, value in wanted.items()}

        self.peer.wait_for(same, f"{wanted} captures")

    def message(self) -> str:
        """What diagnostics say of captures."""
        return latest_status(self._reports, ": capture").message

    def capture(self, camera: str = "") -> tuple[bool, str]:
        """Calls the service."""
        response = self.peer.call(Capture, "polymorph/capture", camera=camera)
        return response.success, response.message


def capturing(folder: Path, **parameters: object) -> dict[str, object]:
    return {"capture.folder": str(folder), "capture.min_interval_s": 0.0, **parameters}


def test_nothing_is_captured_unless_a_folder_is_named(
    peer: Peer, active_node, strange: Path
) -> None:
    active_node(bundle=str(strange))
    robot = Robot(peer)

    robot.show(view(1), view(2))

    robot.counts(captured=0, failed=0)
    assert robot.message() == "off: capture.folder is empty"
    done, message = robot.capture()
    assert not done
    assert "capture.folder" in message


def test_unknown_scenes_are_captured_and_no_view_twice(
    peer: Peer, active_node, strange: Path, tmp_path: Path
) -> None:
    active_node(bundle=str(strange), **capturing(tmp_path / "captures"))
    robot = Robot(peer)

    robot.show_slowly(view(1), view(2), view(1), view(2), view(3))

    robot.counts(captured=3, alike=2, stored=3, dropped=0, failed=0)
    pictures = CaptureFolder(tmp_path / "captures").pictures
    assert [one.note.reason for one in pictures] == ["unknown_scene"] * 3
    (bag,) = {one.bag for one in pictures}
    frames = list(read_bag_frames(bag))
    assert [frame.stamp_ns for frame in frames] == [1_100_000_000, 1_200_000_000, 1_500_000_000]
    assert np.abs(frames[0].image.astype(int) - view(1)).mean() < 8.0


def test_frames_that_come_faster_than_the_disk_takes_them_are_counted(
    peer: Peer, active_node, strange: Path, tmp_path: Path
) -> None:
    active_node(bundle=str(strange), **capturing(tmp_path))
    robot = Robot(peer)

    robot.show(*(view(number) for number in range(40)))

    peer.wait_for(lambda: robot.considered() == 40, "all frames")
    stored = len(CaptureFolder(tmp_path).pictures)
    assert stored >= 1
    robot.counts(failed=0, captured=stored, stored=stored)


def test_a_restarted_node_remembers_the_views_that_it_captured(
    peer: Peer, active_node, strange: Path, tmp_path: Path
) -> None:
    node = active_node(bundle=str(strange), **capturing(tmp_path))
    robot = Robot(peer)
    robot.show(view(1))
    robot.counts(captured=1)

    node.trigger_deactivate()
    node.trigger_cleanup()
    node.trigger_configure()
    node.trigger_activate()
    robot.show(view(1), view(2))

    robot.counts(captured=1, alike=1, stored=2, busy=0)


def test_only_the_wanted_reasons_count_and_all_is_live(
    peer: Peer, active_node, strange: Path, tmp_path: Path
) -> None:
    node = active_node(bundle=str(strange))
    robot = Robot(peer)
    set_live(node, **{"capture.folder": str(tmp_path), "capture.min_interval_s": 0.0})
    set_live(node, **{"capture.reasons": ["requested"]})

    robot.show(view(1))

    robot.counts(captured=0)
    set_live(node, **{"capture.reasons": ["unknown_scene"], "capture.min_interval_s": 3600.0})
    robot.show(view(1), view(2), view(3))
    robot.counts(captured=1, alike=0)
    set_live(node, **{"capture.folder": ""})
    robot.show(view(4))
    robot.counts(captured=1, stored=0)


def test_the_service_captures_what_the_camera_shows_now(
    peer: Peer, active_node, tmp_path: Path
) -> None:
    active_node(**capturing(tmp_path, **{"capture.reasons": ["requested"]}))
    robot = Robot(peer)
    early = robot.capture()
    robot.show(view(1))

    first, again, wrong = robot.capture(), robot.capture("camera"), robot.capture("nose")

    assert early == (False, "camera camera: expected an answered frame, found none yet")
    assert first[0]
    assert f"camera: captured in {tmp_path}" in first[1]
    assert again == (True, "camera: this view is captured already")
    assert not wrong[0]
    assert "one of camera" in wrong[1]
    robot.counts(captured=1, stored=1)
    assert [one.note.reason for one in CaptureFolder(tmp_path).pictures] == ["requested"]


def test_a_reused_result_is_not_captured_but_may_be_asked_for(
    peer: Peer, active_node, tmp_path: Path
) -> None:
    bundle = write_tiny_bundle(
        tmp_path / "still", on=0.02, reuse=REUSE, unknown_scene=EVERY_SCENE
    ).path
    active_node(bundle=str(bundle), reuse_s=60.0, **capturing(tmp_path / "captures"))
    robot = Robot(peer)

    robot.show(view(1), view(1), view(1))

    assert robot.capture() == (True, "camera: this view is captured already")
    robot.counts(captured=1, alike=1)


def test_it_keeps_within_its_megabytes_and_spares_what_was_asked_for(
    peer: Peer, active_node, strange: Path, tmp_path: Path
) -> None:
    node = active_node(bundle=str(strange), **capturing(tmp_path, **{"capture.max_mb": 1}))
    robot = Robot(peer)
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)

    def noisy(number: int) -> np.ndarray:
        """A view whose JPEG has some 0.3 MB."""
        return (view(number, 512) // 2 + noise // 2).astype(np.uint8)

    set_live(node, **{"capture.reasons": ["requested"]})
    robot.show(noisy(0))
    assert robot.capture()[0]
    set_live(node, **{"capture.reasons": ["unknown_scene"]})
    for number in range(1, 8):
        robot.show(noisy(number))
        robot.counts(captured=1 + number)

    folder = CaptureFolder(tmp_path)
    assert folder.size <= 1_000_000
    assert 2 <= len(folder.pictures) <= 4
    assert folder.pictures[0].note.reason == "requested"
    robot.counts(dropped=8 - len(folder.pictures), stored=len(folder.pictures))


def test_a_full_disk_is_reported_and_frames_are_answered(
    peer: Peer, active_node, strange: Path, tmp_path: Path
) -> None:
    active_node(bundle=str(strange), **capturing(tmp_path))
    robot = Robot(peer)
    robot.show(view(1))
    robot.counts(captured=1)

    with full_disk():
        robot.show_slowly(view(2), view(3))
        robot.counts(captured=1, failed=2, stored=1)

    assert "room on the disk" in robot.message()
    robot.show(view(4))
    robot.counts(captured=2, failed=2, stored=2)
    assert len(CaptureFolder(tmp_path).pictures) == 2


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(
    peer: Peer, make_node, active_node, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    node = active_node()

    (answer,) = node.set_parameters([Parameter("capture.folder", value=str(tmp_path / "file"))])

    assert not answer.successful
    assert "a place that can be written to" in answer.reason
    assert node.get_parameter("capture.folder").value == ""
    (answer,) = node.set_parameters([Parameter("capture.reasons", value=["boring"])])
    assert not answer.successful
    assert "capture.reasons" in answer.reason


def test_a_killed_node_leaves_whole_pictures_and_the_next_goes_on(
    peer: Peer, strange: Path, tmp_path: Path
) -> None:
    parameters = {
        "autostart": True, "bundle": str(strange), "device": "cpu", "cpu_threads": 1,
        "energy.meter": "estimated", "no_data_timeout": 60.0, **capturing(tmp_path),
    }  # fmt: skip
    for number in range(2):
        with NodeProcess(parameters=parameters) as node:
            node.wait_for_words("ready after", lambda: peer.executor.spin_once(0.05))
            peer.wait_for(lambda: peer.state("polymorph") == "active", "an active node")
            robot = Robot(peer)
            shown = range(10 * number, 10 * number + 6)
            robot.show_slowly(*(view(one) for one in shown[:5]))
            robot.counts(captured=5)
            robot.show(view(shown[5]))
            node.send(signal.SIGKILL)
            node.end()
        stored = CaptureFolder(tmp_path).pictures
        assert 5 * (number + 1) <= len(stored) <= 6 * (number + 1)
        for bag in {one.bag for one in stored}:
            stamps = [one.note.stamp_ns for one in stored if one.bag == bag]
            assert [frame.stamp_ns for frame in read_bag_frames(bag)] == stamps


def set_live(node, **values: object) -> None:
    changes = [Parameter(name, value=value) for name, value in values.items()]
    assert all(answer.successful for answer in node.set_parameters(changes))


@contextmanager
def full_disk() -> Iterator[None]:
    """Lets no file of this process grow beyond 500 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
