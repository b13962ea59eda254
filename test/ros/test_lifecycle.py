"""Pins the managed node's life: what each transition does, that they can be repeated, and that a
bad configuration is one clear line, FAILURE and a node that stays unconfigured."""

from __future__ import annotations

import gc
import shutil
import weakref
from pathlib import Path

import pytest
import torch
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile

from helpers.ros_peer import Peer, latest_status, picture
from helpers.tiny_bundle import add_ballast
from polymorph_ros.msg import LabelArray, LabelInfo
from polymorph_ros.ros.harness.images import image_message
from polymorph_ros.srv import LoadBundle

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture(scope="module")
def slow_bundle(bundle_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose checksums take some seconds."""
    folder = tmp_path_factory.mktemp("slow") / "bundle"
    shutil.copytree(bundle_root / "tiny", folder)
    return add_ballast(folder, 1 << 31)


def test_the_services_of_a_managed_node_take_it_through_its_life(peer: Peer, make_node) -> None:
    make_node()

    trace = [peer.state("polymorph")]
    for transition in (
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_ACTIVATE,
        Transition.TRANSITION_DEACTIVATE,
        Transition.TRANSITION_CLEANUP,
        Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
    ):
        assert peer.change_state("polymorph", transition)
        trace.append(peer.state("polymorph"))

    assert trace == [
        "unconfigured", "inactive", "active", "inactive", "unconfigured", "finalized"
    ]  # fmt: skip


def test_only_an_active_node_answers_images(peer: Peer, make_node) -> None:
    node = make_node()
    node.trigger_configure()
    heard = peer.listen(LabelArray, "polymorph/labels")
    images = peer.images("image")

    images.publish(image_message(picture(), stamp_ns=1))
    peer.spin_for(0.5)
    assert heard == []

    node.trigger_activate()
    images.publish(image_message(picture(), stamp_ns=2))
    peer.wait_for(lambda: heard, "an answer")
    assert heard[0].header.stamp.nanosec == 2

    node.trigger_deactivate()
    heard.clear()
    images.publish(image_message(picture(), stamp_ns=3))
    peer.spin_for(1.3)
    assert heard == [], "an inactive node says nothing, not even NO_DATA"


def test_weights_outlive_deactivation_and_end_with_cleanup(peer: Peer, active_node) -> None:
    node = active_node()
    status = peer.listen(DiagnosticArray, "/diagnostics")
    node.trigger_deactivate()
    peer.wait_for(lambda: "runs on" in _model(status), "the model in diagnostics")

    node.trigger_cleanup()
    peer.wait_for(lambda: "unconfigured" in _model(status), "no model in diagnostics")
    assert peer.node.count_publishers("polymorph/labels") == 0


def test_the_whole_cycle_can_be_repeated(peer: Peer, make_node) -> None:
    node = make_node()
    answers: list[LabelArray] = []
    peer.node.create_subscription(LabelArray, "polymorph/labels", answers.append, 50)
    for cycle in range(4):
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        images = peer.images("image")
        answers.clear()

        def answered(cycle: int = cycle, images=images) -> bool:
            images.publish(image_message(picture(), stamp_ns=cycle + 1))
            return any(m.state == LabelArray.STATE_FRESH for m in answers)

        peer.wait_for(answered, f"an answer in cycle {cycle}")
        assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
        assert node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
        peer.node.destroy_publisher(images)


def test_shutdown_ends_an_active_node_and_frees_it(peer: Peer, active_node) -> None:
    active_node()

    assert peer.change_state("polymorph", Transition.TRANSITION_ACTIVE_SHUTDOWN)

    assert peer.state("polymorph") == "finalized"
    assert peer.node.count_publishers("polymorph/labels") == 0


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"bundle": "/nowhere/at/all"}, "/nowhere/at/all"),
        ({"device": "cuda"}, "cuda"),
        ({"energy__meter": "nvml"}, "nvml"),
        ({"cameras": ["a", "b"], "image_topics": ["/one"]}, "image_topics"),
        ({"image_topics": ["not a topic"]}, "not a topic"),
        ({"max_rate_hz": 0.5, "no_data_timeout": 1.0}, "no_data_timeout"),
        ({"max_adapters": -1}, "max_adapters"),  # out of the declared range
        ({"max_adapters": 1.5}, "max_adapters"),  # of the wrong type
    ],
)
def test_a_bad_configuration_fails_in_one_line_and_stays_unconfigured(
    peer: Peer, make_node, capfd: pytest.CaptureFixture[str], parameters, words: str
) -> None:
    if parameters.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU: asking for one is no bad configuration")
    make_node(**parameters)
    status = peer.listen(DiagnosticArray, "/diagnostics")

    assert not peer.change_state("polymorph", Transition.TRANSITION_CONFIGURE)

    assert peer.state("polymorph") == "unconfigured"
    peer.wait_for(lambda: words in _model(status), "the reason in diagnostics")
    text = capfd.readouterr()
    told = [line for line in (text.out + text.err).splitlines() if "cannot configure" in line]
    assert len(told) == 1
    assert words in told[0]
    assert "Traceback" not in text.out + text.err


def test_a_bad_parameter_can_be_set_right_and_the_node_configured(peer: Peer, make_node) -> None:
    node = make_node(max_adapters=-1)
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE

    assert node.set_parameters([Parameter("max_adapters", value=2)])[0].successful

    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS


def test_a_damaged_bundle_is_refused_by_configure_and_its_repair_accepted(
    peer: Peer, make_node, bundle_root: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(bundle_root / "tiny", folder)
    weights = folder / "scout.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    node = make_node(bundle=str(folder))

    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    weights.write_bytes(good)
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS


def test_autostart_brings_the_node_up_by_itself(peer: Peer, make_node) -> None:
    make_node(autostart=True)

    peer.wait_for(lambda: peer.state("polymorph") == "active", "the active state")


def test_autostart_with_a_bad_configuration_leaves_the_node_unconfigured(
    peer: Peer, make_node
) -> None:
    make_node(autostart=True, bundle="/nowhere/at/all")
    status = peer.listen(DiagnosticArray, "/diagnostics")

    peer.wait_for(lambda: "/nowhere/at/all" in _model(status), "the reason in diagnostics")
    assert peer.state("polymorph") == "unconfigured"


def test_services_and_diagnostics_go_on_while_a_bundle_is_loaded(
    peer: Peer, make_node, slow_bundle: Path
) -> None:
    make_node(bundle=str(slow_bundle))
    reports = peer.listen(DiagnosticArray, "/diagnostics")
    reports.clear()
    client = peer.node.create_client(ChangeState, "polymorph/change_state")
    peer.wait_for(client.service_is_ready, "the service")
    request = ChangeState.Request()
    request.transition.id = Transition.TRANSITION_CONFIGURE
    configured = client.call_async(request)

    states = []
    while not configured.done():
        states.append(peer.state("polymorph"))
    reported = [latest_status([report], "polymorph: node").message for report in reports]

    assert configured.result().success
    assert states.count("configuring") >= 3
    assert "configuring" in reported
    peer.wait_for(lambda: peer.state("polymorph") == "inactive", "the inactive state")


def test_parameters_that_are_set_while_a_bundle_is_loaded_hold_afterwards_or_are_refused(
    peer: Peer, make_node, slow_bundle: Path
) -> None:
    node = make_node(bundle=str(slow_bundle))
    request = ChangeState.Request()
    request.transition.id = Transition.TRANSITION_CONFIGURE
    client = peer.node.create_client(ChangeState, "polymorph/change_state")
    peer.wait_for(client.service_is_ready, "the service")
    configured = client.call_async(request)
    peer.wait_for(lambda: peer.state("polymorph") == "configuring", "the transition")

    live = node.set_parameters([Parameter("threshold_shift", value=2.0)])[0]
    other = node.set_parameters([Parameter("cpu_threads", value=2)])[0]
    assert not configured.done()
    peer.wait_for(configured.done, "a response")

    assert live.successful
    assert "configured node" in other.reason
    assert node._session.settings.engine.threshold_shift == 2.0


def test_each_transition_logs_one_line(make_node, capfd: pytest.CaptureFixture[str]) -> None:
    node = make_node()
    for trigger, words in (
        (node.trigger_configure, "ready after"),
        (node.trigger_activate, "active: images of camera are answered"),
        (node.trigger_deactivate, "inactive: images are ignored"),
        (node.trigger_cleanup, "unconfigured: topics and memory are given back"),
    ):
        capfd.readouterr()
        trigger()
        text = capfd.readouterr()
        lines = [line for line in (text.out + text.err).splitlines() if "loading" not in line]
        assert len(lines) == 1, lines
        assert words in lines[0]


def test_a_bundle_that_was_replaced_is_freed_without_a_search_for_cycles(
    peer: Peer, active_node
) -> None:
    node = active_node()
    old = weakref.ref(node._session.loaded.model)
    gc.disable()
    try:
        response = peer.call(LoadBundle, "polymorph/load_bundle", path="other")
        assert response.success
        peer.wait_for(lambda: old() is None, "the old model's end")
    finally:
        gc.enable()
    assert gc.get_freeze_count() > 0, "modules are left out of searches"


def test_label_information_is_there_for_late_subscribers(peer: Peer, make_node) -> None:
    node = make_node()
    node.trigger_configure()

    heard = peer.listen(LabelInfo, "polymorph/label_info", LATCHED)

    info = peer.wait_for(lambda: heard, "the label information")[-1]
    assert list(info.labels) == ["person", "desk", "chair", "cup", "car", "tree"]
    assert [context.name for context in info.contexts] == ["office", "street"]
    assert len(info.checksum) == 64
    assert all(off < on for on, off in zip(info.on_thresholds, info.off_thresholds, strict=True))


def _model(heard: list[DiagnosticArray]) -> str:
    status = latest_status(heard, ": model")
    return status.message if status else ""
