"""Pins ``polymorph grow``: labelled captures become new labels, and a running node takes the bundle
over; a node that is not there is named before the training. Open: how good the labels are
(test/training/test_growth.py pins what growth leaves alone).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers.quick_training import QUICK
from helpers.ros_peer import Peer
from polymorph_ros.bundle.reader import read_bundle
from polymorph_ros.data.captures import CaptureFolder, Note, as_jpeg, picture_message
from polymorph_ros.data.synthetic import make_sequence
from polymorph_ros.evaluation.replay import measure
from polymorph_ros.interfaces.bag_messages import serialise
from polymorph_ros.interfaces.stamps import stamp_fields
from polymorph_ros.interfaces.topics import LABELS
from polymorph_ros.msg import LabelInfo
from polymorph_ros.ros import qos
from polymorph_ros.training.config import TrainConfig
from polymorph_ros.training.pipeline import train_bundle


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that says how it was trained."""
    folder = tmp_path_factory.mktemp("trained")
    config = TrainConfig.model_validate(QUICK)
    train_bundle(config, folder / "bundle", folder / "work", measure, lambda line: None)
    return folder / "bundle"


def captures(folder: Path) -> Path:
    """Recordings as a node writes them, of four runs, and a table with two labels that are new."""
    rows = ["sequence,stamp,labels"]
    for run in range(4):
        frames = make_sequence(9, index=run, split="train", frames=10, hz=2.0, size=(64, 48))
        store = CaptureFolder(folder)
        for number, frame in enumerate(frames.frames()):
            stored = store.add(*_messages(frame.image, (number + 1) * 1_000_000_000))
            shown = [name for bit, name in enumerate(("robot", "pallet")) if number >> bit & 1]
            rows.append(f"{stored.bag.name},{number + 1}.0,{'|'.join(shown)}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


def _messages(image: np.ndarray, stamp_ns: int) -> tuple[bytes, bytes, Note]:
    header = {"stamp": stamp_fields(stamp_ns), "frame_id": ""}
    fields = {"camera": "front", "state": 4, "reason": "", "novelty": 0.9, "trust": 0.3}
    labels = serialise(LABELS.type, {"header": header, **fields, "labels": []})
    note = Note("front", stamp_ns, "/image/compressed", LABELS.under(), "requested", 1.0, "", None)
    return picture_message(as_jpeg(image), "jpeg", stamp_ns, ""), labels, note


def grow(peer: Peer, *arguments: str | Path) -> tuple[int, str]:
    """Exit code and output of the command, while the peer and the node spin."""
    command = [sys.executable, "-m", "polymorph_ros.cli.main", "grow", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "200"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        peer.wait_for(lambda: process.poll() is not None, "the end of grow", 300.0)
        return process.returncode, process.stdout.read()


def test_a_running_node_takes_over_what_it_captured(
    peer: Peer, active_node, trained: Path, tmp_path: Path
) -> None:
    node = active_node(bundle=str(trained), bundle_root=str(trained.parent))
    infos = peer.listen(LabelInfo, "polymorph/label_info", qos.LATCHED)
    before = read_bundle(trained)
    folder = captures(tmp_path / "captures")

    code, output = grow(
        peer, folder, "--labels", folder / "labels.csv", "--to", trained, "--node", "/polymorph",
        "--work", tmp_path / "work",
    )  # fmt: skip

    assert code == 0, output
    after = read_bundle(trained)
    assert {label.name for label in after.manifest.labels} >= {"robot", "pallet"}
    peer.wait_for(lambda: infos and infos[-1].checksum == after.checksum, "the new label info")
    assert {"robot", "pallet"} <= set(infos[-1].labels)
    old = {file.path: file.sha256 for file in before.manifest.files if "adapters/" in file.path}
    new = {file.path: file.sha256 for file in after.manifest.files}
    assert old.items() <= new.items()
    assert node.get_parameter("bundle").value == str(trained)


def test_a_node_that_is_not_there_is_named_before_the_training(
    peer: Peer, trained: Path, tmp_path: Path
) -> None:
    code, output = grow(
        peer, tmp_path, "--to", trained, "--node", "/nobody", "--work", tmp_path / "work"
    )
    assert code == 1
    assert "/nobody" in output
    assert "Traceback" not in output
    assert not (tmp_path / "work").exists()


def test_a_bundle_that_the_node_may_not_load_is_refused_before_the_training(
    peer: Peer, active_node, trained: Path, tmp_path: Path
) -> None:
    active_node()
    code, output = grow(
        peer, tmp_path, "--to", trained, "--node", "/polymorph", "--work", tmp_path / "work"
    )
    assert code == 1
    assert "bundle_root" in output
    assert "Traceback" not in output
