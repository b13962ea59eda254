"""Pins the node's view of unchanged pictures and unknown scenes: their states reach the listener,
diagnostics count them, and each is switched by its parameter while the node runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.parameter import Parameter

from helpers.ros_peer import Peer, latest_status, picture, value_of
from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.bundle.manifest import ReuseEntry, UnknownSceneEntry
from polymorph_ros.msg import ContextState, EnergyReport, Label, LabelArray
from polymorph_ros.ros.harness.images import image_message

REUSE = ReuseEntry(difference=8.0, max_age_s=60.0, pace=0.5, agreement=0.99)
ALL_UNKNOWN = UnknownSceneEntry(threshold=1e-6, false_alarms=0.01)


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that reuses results and knows no scene."""
    path = tmp_path_factory.mktemp("still") / "still"
    return write_tiny_bundle(path, on=0.02, reuse=REUSE, unknown_scene=ALL_UNKNOWN).path


def answers(peer: Peer, heard: list, images, stamps: range) -> list:
    """The answers to one picture, published with these stamps one after the other."""
    for stamp in stamps:
        count = len(heard)
        images.publish(image_message(picture(), stamp_ns=1_000_000 * stamp))
        peer.wait_for(lambda count=count: len(heard) > count, "an answer")
    return heard[-len(stamps) :]


def test_a_picture_that_stays_is_reused_and_counted(peer: Peer, active_node, still: Path) -> None:
    node = active_node(bundle=str(still), reuse_s=60.0, detect_unknown_scenes=False)
    heard = peer.listen(LabelArray, "polymorph/labels")
    contexts = peer.listen(ContextState, "polymorph/context")
    energy = peer.listen(EnergyReport, "polymorph/energy")
    reports = peer.listen(DiagnosticArray, "/diagnostics")
    images = peer.images("image")

    first, second = answers(peer, heard, images, range(1, 3))

    assert (first.state, second.state) == (LabelArray.STATE_FRESH, LabelArray.STATE_REUSED)
    assert {label.source for label in second.labels} == {Label.SOURCE_REUSED}
    assert second.labels[0].age == pytest.approx(0.001)
    peer.wait_for(lambda: len(contexts) == len(energy) == 2, "contexts and energy of both")
    assert (list(contexts[1].adapters), energy[1].adapters_run) == ([], 0)
    assert list(energy[1].stages) == ["preprocess", "compare", "reuse"]
    assert node.set_parameters([Parameter("reuse_s", value=0.0)])[0].successful
    (third,) = answers(peer, heard, images, range(3, 4))
    assert third.state == LabelArray.STATE_FRESH
    peer.wait_for(lambda: _figures(reports) == ("3", "1", "0"), "3 answered, 1 reused")


def test_an_unknown_scene_is_told_counted_and_switched_off(
    peer: Peer, active_node, still: Path
) -> None:
    node = active_node(bundle=str(still))
    heard = peer.listen(LabelArray, "polymorph/labels")
    reports = peer.listen(DiagnosticArray, "/diagnostics")
    images = peer.images("image")

    (unknown,) = answers(peer, heard, images, range(1, 2))

    assert unknown.state == LabelArray.STATE_UNKNOWN_SCENE
    assert "unlike anything seen in training" in unknown.reason
    assert unknown.novelty > 0.99
    assert 0 < unknown.trust < 1
    assert node.set_parameters([Parameter("detect_unknown_scenes", value=False)])[0].successful
    (unjudged,) = answers(peer, heard, images, range(2, 3))
    assert unjudged.state == LabelArray.STATE_FRESH
    assert unjudged.trust == 1.0
    peer.wait_for(lambda: _figures(reports) == ("2", "0", "1"), "2 answered, 1 unknown")


def _figures(reports: list[DiagnosticArray]) -> tuple[str, ...]:
    status = latest_status(reports, ": camera camera")
    if status is None:
        return ()
    return tuple(value_of(status, key) for key in ("answered", "reused", "unknown_scene"))
