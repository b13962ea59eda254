"""Pins the services: a bundle is replaced between two frames or not at all, only from inside
bundle_root, and frames go on meanwhile; what was believed can be forgotten."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile

from helpers.ros_peer import Peer, picture
from helpers.tiny_bundle import add_ballast
from polymorph_ros.msg import ContextState, LabelArray, LabelEvent, LabelInfo
from polymorph_ros.ros.harness.images import image_message
from polymorph_ros.srv import LoadBundle, ResetContext

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
LOAD, RESET = "polymorph/load_bundle", "polymorph/reset_context"


def test_another_bundle_takes_over_and_is_announced(peer: Peer, active_node) -> None:
    active_node()
    info = peer.listen(LabelInfo, "polymorph/label_info", LATCHED)
    heard = peer.listen(LabelArray, "polymorph/labels")
    images = peer.images("image")
    images.publish(image_message(picture(), stamp_ns=1))
    peer.wait_for(lambda: heard, "an answer of the first bundle")

    response = peer.call(LoadBundle, LOAD, path="other")
    images.publish(image_message(picture(), stamp_ns=2))
    after = peer.wait_for(lambda: [m for m in heard if m.header.stamp.nanosec == 2], "an answer")

    assert response.success, response.message
    assert [label.name for label in after[0].labels] == ["boat", "gull", "crane"]
    # The first one may have been replaced before this subscription was matched.
    peer.wait_for(lambda: info and info[-1].bundle == "other", "the new label information")
    assert info[-1].checksum == response.checksum


def test_frames_are_answered_while_a_bundle_loads(
    peer: Peer, active_node, bundle_root: Path, tmp_path: Path
) -> None:
    shutil.copytree(bundle_root / "other", tmp_path / "slow")
    add_ballast(tmp_path / "slow", 1 << 29)
    active_node(no_data_timeout=60.0, bundle_root=str(tmp_path))
    heard = peer.listen(LabelArray, "polymorph/labels")
    images = peer.images("image")
    client = peer.node.create_client(LoadBundle, LOAD)
    peer.wait_for(client.service_is_ready, "the service")

    with peer.camera(images):
        future = client.call_async(LoadBundle.Request(path="slow"))
        peer.wait_for(future.done, "a response")
        answers_meanwhile = len(heard)
        peer.wait_for(
            lambda: "boat" in {label.name for message in heard[-1:] for label in message.labels},
            "answers of the new bundle",
        )

    assert future.result().success, future.result().message
    assert answers_meanwhile >= 2
    sets = [tuple(label.name for label in message.labels) for message in heard]
    assert set(sets) <= {
        ("person", "desk", "chair", "cup", "car", "tree"),
        ("boat", "gull", "crane"),
    }, "no message mixes two bundles"
    assert sets == sorted(sets, key=lambda names: "boat" in names), "and none goes back"


@pytest.mark.parametrize(
    "path", ["", "..", "../outside", "/etc", "link_out", "nothing_here", "tiny/manifest.json"]
)
def test_a_path_that_leads_elsewhere_is_refused_and_the_old_bundle_stays(
    peer: Peer, active_node, bundle_root: Path, tmp_path: Path, path: str
) -> None:
    root = tmp_path / "root"
    shutil.copytree(bundle_root / "tiny", root / "tiny")
    shutil.copytree(bundle_root / "other", tmp_path / "outside")
    (root / "link_out").symlink_to(tmp_path / "outside")
    active_node(bundle_root=str(root))
    info = peer.listen(LabelInfo, "polymorph/label_info", LATCHED)
    peer.wait_for(lambda: info, "the label information")

    response = peer.call(LoadBundle, LOAD, path=path)

    assert not response.success
    assert response.message != ""
    assert response.checksum == info[0].checksum
    assert len(info) == 1


def test_a_link_that_stays_inside_is_followed(
    peer: Peer, active_node, bundle_root: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    shutil.copytree(bundle_root / "other", root / "other")
    (root / "latest").symlink_to("other")
    active_node(bundle_root=str(root))

    assert peer.call(LoadBundle, LOAD, path="latest").success


@pytest.mark.parametrize("damage", ["flip", "cut", "foreign"])
def test_a_corrupt_or_foreign_bundle_is_refused_whole(
    peer: Peer, active_node, bundle_root: Path, tmp_path: Path, damage: str
) -> None:
    root = tmp_path / "root"
    broken = root / "broken"
    shutil.copytree(bundle_root / "other", broken)
    weights = broken / "backbone" / "model.safetensors"
    content = weights.read_bytes()
    if damage == "flip":
        weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "cut":
        weights.write_bytes(content[:-100])
    else:
        (broken / "manifest.json").write_text('{"model_type": "vit"}')
    active_node(bundle_root=str(root))
    heard = peer.listen(LabelArray, "polymorph/labels")
    images = peer.images("image")

    response = peer.call(LoadBundle, LOAD, path="broken")
    images.publish(image_message(picture(), stamp_ns=5))
    answer = peer.wait_for(lambda: [m for m in heard if m.header.stamp.nanosec == 5], "an answer")

    assert not response.success
    assert "broken" in response.message
    assert answer[0].labels[0].name == "person"


def test_an_unconfigured_node_says_that_it_must_be_configured_first(peer: Peer, make_node) -> None:
    make_node()

    for response in (
        peer.call(LoadBundle, LOAD, path="other"),
        peer.call(ResetContext, RESET),
    ):
        assert not response.success
        assert "configure" in response.message


def test_an_inactive_node_takes_another_bundle(peer: Peer, make_node) -> None:
    make_node().trigger_configure()

    assert peer.call(LoadBundle, LOAD, path="other").success


def test_after_a_reset_the_next_frame_starts_anew(peer: Peer, active_node) -> None:
    active_node()
    contexts = peer.listen(ContextState, "polymorph/context")
    events = peer.listen(LabelEvent, "polymorph/events")
    images = peer.images("image")

    def at_first() -> list[str]:
        return [event.name for event in events if event.header.stamp.nanosec == 1]

    for stamp in (1, 2):
        images.publish(image_message(picture(), stamp_ns=stamp))
        peer.wait_for(lambda stamp=stamp: len(contexts) == stamp, "an answer")
    assert contexts[1].reason == "unchanged"
    peer.wait_for(lambda: events, "the events of the first frame")

    response = peer.call(ResetContext, RESET, camera="camera")
    images.publish(image_message(picture(), stamp_ns=3))
    peer.wait_for(lambda: len(contexts) == 3, "the next answer")

    assert response.success
    assert contexts[2].reason == contexts[0].reason == "first frame"
    # What was active vanishes with the reset and appears anew with the next frame.
    peer.wait_for(lambda: len(events) == 3 * len(at_first()), "the same labels again")
    appeared = at_first()
    assert [(event.kind, event.name, event.reason) for event in events] == [
        (kind, name, reason)
        for kind, reason in (
            (LabelEvent.APPEARED, ""), (LabelEvent.VANISHED, "reset"), (LabelEvent.APPEARED, ""),
        )
        for name in appeared
    ]  # fmt: skip


def test_a_reset_of_an_unknown_camera_names_the_known_ones(peer: Peer, active_node) -> None:
    active_node(cameras=["left", "right"])

    response = peer.call(ResetContext, RESET, camera="middle")

    assert not response.success
    assert "left, right" in response.message


def test_a_load_that_a_cleanup_ends_says_so(
    peer: Peer, active_node, bundle_root: Path, tmp_path: Path
) -> None:
    shutil.copytree(bundle_root / "other", tmp_path / "slow")
    add_ballast(tmp_path / "slow", 1 << 30)
    node = active_node(bundle_root=str(tmp_path))
    client = peer.node.create_client(LoadBundle, LOAD)
    peer.wait_for(client.service_is_ready, "the service")
    future = client.call_async(LoadBundle.Request(path="slow"))
    peer.wait_for(lambda: node._node_services._loading, "the load")

    node.trigger_deactivate()
    node.trigger_cleanup()
    peer.wait_for(future.done, "a response")

    assert not future.result().success
    assert "cleaned up" in future.result().message
