"""Pins what diagnostics say in plain words: a topic that nobody publishes, a type or QoS that
cannot match, images lost on the way, scores that are not finite, the model and the energy
counters."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from helpers.ros_peer import Peer, latest_status, picture, value_of
from polymorph_ros.msg import LabelArray
from polymorph_ros.ros.harness.images import image_message

BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


def wait_for_words(peer: Peer, reports: list[DiagnosticArray], suffix: str, words: str):
    """The first status of that name that holds these words, from now on."""
    reports.clear()

    def found() -> DiagnosticStatus | None:
        status = latest_status(reports, suffix)
        return status if status and words in status.message else None

    return peer.wait_for(found, f"a status of {suffix} with {words!r}")


def test_a_topic_that_nobody_publishes_is_named(peer: Peer, active_node) -> None:
    active_node(image_topics=["/front/image_raw"])
    reports = peer.listen(DiagnosticArray, "/diagnostics")

    status = wait_for_words(peer, reports, ": camera camera", "no publisher on")

    assert "/front/image_raw (sensor_msgs/msg/Image)" in status.message
    assert status.level == DiagnosticStatus.ERROR


def test_a_topic_of_another_type_is_named_with_its_remedy(peer: Peer, active_node) -> None:
    active_node()
    reports = peer.listen(DiagnosticArray, "/diagnostics")
    # a participant of its own, as another process has: one holds a topic under one type only
    context = rclpy.Context()
    rclpy.init(context=context)
    driver = Node("driver", context=context)
    driver.create_publisher(CompressedImage, "image", 5)

    status = wait_for_words(peer, reports, ": camera camera", "CompressedImage")
    driver.destroy_node()
    rclpy.shutdown(context=context)

    assert "image_transport" in status.message
    assert status.level == DiagnosticStatus.ERROR


def test_a_quality_of_service_that_cannot_match_is_told_with_the_publishers_offer(
    peer: Peer, active_node, capfd: pytest.CaptureFixture[str]
) -> None:
    active_node(**{"qos_overrides./image.subscription.reliability": "reliable"})
    peer.node.create_publisher(Image, "image", BEST_EFFORT)
    reports = peer.listen(DiagnosticArray, "/diagnostics")

    status = wait_for_words(peer, reports, ": camera camera", "best effort")

    assert "the publisher of /image (peer) offers best effort" in status.message
    assert "asks for reliable" in status.message
    assert "qos_overrides./image.subscription.reliability" in status.message
    assert status.level == DiagnosticStatus.ERROR
    assert "offers best effort" in capfd.readouterr().err, "and it is logged at once"


def test_without_overrides_a_best_effort_publisher_matches(peer: Peer, active_node) -> None:
    active_node()
    reports = peer.listen(DiagnosticArray, "/diagnostics")
    peer.images("image", qos=BEST_EFFORT)

    status = wait_for_words(peer, reports, ": camera camera", "no image received on /image for")

    assert status.level == DiagnosticStatus.WARN


def test_figures_of_a_camera_add_up(peer: Peer, active_node) -> None:
    active_node()
    reports = peer.listen(DiagnosticArray, "/diagnostics")
    images = peer.images("image")

    def rate_is_told() -> bool:
        status = latest_status(reports, ": camera camera")
        return bool(status) and float(value_of(status, "answered_hz")) > 0

    with peer.camera(images):
        peer.wait_for(rate_is_told, "a rate of answers")

    status = latest_status(reports, ": camera camera")
    figures = {item.key: item.value for item in status.values}
    received = int(figures["received"])
    accounted = sum(int(figures[key]) for key in ("answered", "dropped", "rejected", "failed"))
    assert 0 <= received - accounted <= 2, "one frame may wait and one be at work"
    assert 0 < float(figures["latency_median_s"]) <= float(figures["latency_worst_s"]) < 60
    assert status.hardware_id == "camera"


def test_scores_that_are_not_finite_are_counted_and_told(peer: Peer, active_node) -> None:
    node = active_node()
    heard = peer.listen(LabelArray, "polymorph/labels")
    reports = peer.listen(DiagnosticArray, "/diagnostics")
    images = peer.images("image")
    weight = node._session.loaded.model._scout.hidden.weight
    weight.data = torch.full_like(weight, torch.nan)  # as after damage in memory

    images.publish(image_message(picture()))
    status = wait_for_words(peer, reports, ": camera camera", "not finite")

    assert status.level == DiagnosticStatus.WARN
    assert status.message.startswith("8 score(s)"), "the scout's 6 labels and 2 contexts"
    assert value_of(status, "rejected_scores") == "8"
    assert value_of(status, "answered") == "1"
    assert all(np.isfinite([label.score for label in heard[0].labels]))


LARGE_IMAGES = """
import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node("driver")
publisher = node.create_publisher(Image, "image", qos_profile_sensor_data)
image = Image(height=480, width=640, step=1920, encoding="rgb8")
image.data = bytes(480 * 1920)
node.create_timer(0.02, lambda: publisher.publish(image))
rclpy.spin(node)
"""


def test_large_images_that_fast_dds_loses_are_told_with_the_remedy(peer: Peer, active_node) -> None:
    if rclpy.get_rmw_implementation_identifier() != "rmw_fastrtps_cpp":
        pytest.skip("another middleware than Fast DDS: it does not lose them this way")
    active_node()
    reports = peer.listen(DiagnosticArray, "/diagnostics")
    without_profile = {**os.environ, "FASTDDS_DEFAULT_PROFILES_FILE": ""}
    driver = subprocess.Popen([sys.executable, "-c", LARGE_IMAGES], env=without_profile)
    try:
        status = wait_for_words(peer, reports, ": camera camera", "were lost before this node")
    finally:
        driver.kill()
        driver.wait()

    assert status.level == DiagnosticStatus.WARN
    assert "fastdds_large_images.xml" in status.message
    assert int(value_of(status, "lost_before_this_node")) > 0


def test_the_model_and_its_device_are_named(peer: Peer, make_node) -> None:
    node = make_node(device="auto")
    reports = peer.listen(DiagnosticArray, "/diagnostics")
    status = wait_for_words(peer, reports, ": model", "no bundle: the node is unconfigured")
    assert status.name == "/polymorph: model"

    node.trigger_configure()
    status = wait_for_words(peer, reports, ": model", "tiny runs on")

    assert (value_of(status, "labels"), value_of(status, "contexts")) == ("6", "2")
    if value_of(status, "device") == "cpu":
        assert status.message == "tiny runs on the CPU: no GPU was found"
        assert value_of(status, "gpu_memory_mib") == "0"


def test_a_missing_gpu_is_told_where_one_was_asked_for(peer: Peer, make_node) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    node = make_node(device="cuda")
    reports = peer.listen(DiagnosticArray, "/diagnostics")

    node.trigger_configure()
    status = wait_for_words(peer, reports, ": model", "GPU")

    assert "choose cpu or auto" in status.message
    assert status.level == DiagnosticStatus.ERROR
    node.set_parameters([Parameter("device", value="cpu")])
    node.trigger_configure()
    assert wait_for_words(peer, reports, ": model", "tiny runs on the CPU").level == (
        DiagnosticStatus.OK
    )


def test_the_energy_account_names_its_source(peer: Peer, active_node) -> None:
    active_node(energy__battery_wh=99.0)
    reports = peer.listen(DiagnosticArray, "/diagnostics")
    heard = peer.listen(LabelArray, "polymorph/labels")
    peer.images("image").publish(image_message(picture()))
    peer.wait_for(lambda: heard, "an answer")

    status = wait_for_words(peer, reports, ": energy", "(uncalibrated_estimate)")

    assert value_of(status, "source") == "uncalibrated_estimate"
    assert "estimate" in value_of(status, "scope")
    assert float(value_of(status, "total_joules")) > 0
    assert value_of(status, "frames") == "1"
    assert float(value_of(status, "frame_joules_error")) > 0
    watts = float(value_of(status, "mean_watts"))
    assert float(value_of(status, "battery_hours")) == pytest.approx(99.0 / watts, rel=0.05)
    assert float(value_of(status, "watt_hours")) >= 0


def test_without_a_meter_the_account_says_that_there_are_no_figures(
    peer: Peer, active_node
) -> None:
    active_node(energy__meter="none")
    reports = peer.listen(DiagnosticArray, "/diagnostics")

    status = wait_for_words(peer, reports, ": energy", "no energy values")

    assert value_of(status, "source") == "unavailable"


def test_stamps_of_a_bag_give_no_latency_but_a_hint(peer: Peer, active_node) -> None:
    active_node()
    reports = peer.listen(DiagnosticArray, "/diagnostics")
    peer.images("image").publish(image_message(picture(), stamp_ns=1_600_000_000_000_000_000))

    def hint() -> str:
        status = latest_status(reports, ": camera camera")
        return next((pair.value for pair in status.values if pair.key == "latency"), "")

    assert "set use_sim_time" in peer.wait_for(lambda: reports and hint(), "the hint")


def test_each_status_names_its_hardware(peer: Peer, active_node) -> None:
    active_node()
    reports = peer.listen(DiagnosticArray, "/diagnostics")
    reports.clear()

    report = peer.wait_for(lambda: reports, "a report")[0]

    assert all(status.hardware_id for status in report.status)
