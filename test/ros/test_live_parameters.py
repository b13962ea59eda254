"""Pins live changes: parameters are accepted or refused together with a reason, and what was
accepted holds from the next frame on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pytest
from rcl_interfaces.srv import DescribeParameters, SetParametersAtomically
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile

from helpers.ros_peer import DEADLINE_S, Peer, picture
from polymorph_ros.msg import ContextState, EnergyReport, LabelArray, LabelEvent, LabelInfo
from polymorph_ros.ros.harness.images import image_message

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def set_together(peer: Peer, **values: object):
    """Sets parameters in one call, as an operator's tool does."""
    parameters = [
        Parameter(name.replace("__", "."), value=value).to_parameter_msg()
        for name, value in values.items()
    ]
    return peer.call(
        SetParametersAtomically, "polymorph/set_parameters_atomically", parameters=parameters
    ).result


def value(node, name: str):
    return node.get_parameter(name).value


def test_a_change_that_does_not_fit_is_refused_with_all_that_came_with_it(
    peer: Peer, active_node
) -> None:
    node = active_node(no_data_timeout=1.0)

    result = set_together(peer, max_adapters=3, max_rate_hz=0.5)

    assert not result.successful
    assert "no_data_timeout" in result.reason
    assert (value(node, "max_adapters"), value(node, "max_rate_hz")) == (0, 0.0)


def test_changes_that_fit_only_together_are_accepted_together(peer: Peer, active_node) -> None:
    node = active_node(no_data_timeout=1.0)

    result = set_together(peer, max_rate_hz=0.5, no_data_timeout=5.0)

    assert result.successful, result.reason
    assert (value(node, "max_rate_hz"), value(node, "no_data_timeout")) == (0.5, 5.0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cameras": ["another"]}, "read-only"),
        ({"bundle": "/another"}, "unconfigured"),
        ({"device": "auto"}, "unconfigured"),
        ({"max_adapters": -1}, "range"),
        ({"max_adapters": "many"}, "type"),
        ({"publish__labels": "some"}, "all, active"),
        ({"threshold_shift": float("nan")}, "threshold_shift"),
        ({"priority_labels": ["person", "dragon"]}, "dragon"),
        ({"budget_watts": -1.0}, "range"),
    ],
)
def test_a_running_node_refuses_with_a_reason(
    peer: Peer, active_node, change: dict[str, object], reason: str
) -> None:
    active_node()

    result = set_together(peer, **change)

    assert not result.successful
    assert reason in result.reason


def test_the_bundle_may_change_while_the_node_is_unconfigured(peer: Peer, make_node) -> None:
    make_node()

    assert set_together(peer, bundle="/another").successful


def test_descriptions_reach_the_operator(peer: Peer, make_node) -> None:
    make_node()

    described = peer.call(
        DescribeParameters, "polymorph/describe_parameters", names=["max_adapters", "device"]
    ).descriptors

    assert "adapters per frame" in described[0].description
    assert (described[0].integer_range[0].from_value, described[0].read_only) == (0, False)
    assert described[1].additional_constraints == "one of: auto, cpu, cuda, cuda:N"


def test_a_shift_of_thresholds_holds_from_the_next_frame_and_is_announced(
    peer: Peer, active_node
) -> None:
    active_node(no_data_timeout=60.0)
    heard = peer.listen(LabelArray, "polymorph/labels")
    info = peer.listen(LabelInfo, "polymorph/label_info", LATCHED)
    images = peer.images("image")
    images.publish(image_message(picture(), stamp_ns=1))
    before = peer.wait_for(lambda: heard, "an answer")[0]
    assert any(label.active for label in before.labels)
    old = peer.wait_for(lambda: info, "the label information")[0].on_thresholds[0]

    assert set_together(peer, threshold_shift=10.0).successful
    images.publish(image_message(picture(), stamp_ns=2))

    peer.wait_for(lambda: len(heard) > 1, "an answer")
    after = heard[1]
    assert not any(label.active for label in after.labels)
    assert (
        peer.wait_for(lambda: len(info) > 1 and info, "new thresholds")[-1].on_thresholds[0] > old
    )


def test_the_limit_on_adapters_holds_and_what_it_leaves_uncovered_is_told(
    peer: Peer, active_node
) -> None:
    active_node(max_adapters=2)
    heard = peer.listen(LabelArray, "polymorph/labels")
    contexts = peer.listen(ContextState, "polymorph/context")
    images = peer.images("image")
    images.publish(image_message(picture(), stamp_ns=1))
    peer.wait_for(lambda: heard and contexts, "an answer")
    assert len(contexts[0].adapters) == 2, "the tiny bundle's low thresholds bring all in play"

    assert set_together(peer, max_adapters=1).successful
    images.publish(image_message(picture(), stamp_ns=2))
    peer.wait_for(lambda: len(heard) == 2 and len(contexts) == 2, "the next answer")

    assert len(contexts[1].adapters) == 1
    assert len(contexts[1].uncovered) > 0
    assert heard[1].state == LabelArray.STATE_DEGRADED
    assert heard[1].reason != ""


def test_topics_can_be_switched_off_and_labels_reduced_to_active_ones(
    peer: Peer, active_node
) -> None:
    active_node()
    heard = peer.listen(LabelArray, "polymorph/labels")
    events = peer.listen(LabelEvent, "polymorph/events")
    images = peer.images("image")

    assert set_together(peer, publish__events=False, publish__labels="active").successful
    images.publish(image_message(picture(), stamp_ns=1))
    answer = peer.wait_for(lambda: heard, "an answer")[0]
    peer.spin_for(0.3)

    assert answer.labels
    assert all(label.active for label in answer.labels)
    assert events == []


class Stream:
    """Images, one after the other, each sent once the one before it is answered."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.labels = peer.listen(LabelArray, "polymorph/labels")
        self.energy = peer.listen(EnergyReport, "polymorph/energy")
        self.contexts = peer.listen(ContextState, "polymorph/context")
        self._images = peer.images("image")

    def send_until(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < end, f"{what}: {self.labels[-1].reason}"
            count = len(self.labels) + 1
            self._images.publish(image_message(picture(), stamp_ns=10_000_000 * count))
            answered = [self.labels, self.energy, self.contexts]
            self._peer.wait_for(
                lambda count=count, to=answered: min(map(len, to)) >= count, "an answer"
            )

    def send(self, count: int) -> None:
        wanted = len(self.labels) + count
        self.send_until(lambda: len(self.labels) >= wanted, f"{count} answers")


def test_a_budget_of_joules_is_kept_by_the_estimate_from_the_moment_it_is_set(
    peer: Peer, active_node
) -> None:
    active_node(reuse_s=0.0)
    stream = Stream(peer)
    stream.send(60)
    assert stream.energy[-1].source == "uncalibrated_estimate"
    budget_j = 0.5 * mean_joules(stream.energy[20:])

    assert set_together(peer, frame_budget_j=budget_j).successful
    first = len(stream.energy)
    stream.send(100)

    stream.send_until(
        lambda: mean_joules(stream.energy[first:]) <= 1.05 * budget_j, "the budget is kept"
    )
    assert any("the budget does not allow" in answer.reason for answer in stream.labels[first:])


def test_a_budget_that_cannot_be_kept_is_said_over_dds_until_it_is_lifted(
    peer: Peer, active_node
) -> None:
    active_node(reuse_s=0.0)
    stream = Stream(peer)
    stream.send(5)

    assert set_together(peer, frame_budget_s=1e-6).successful
    stream.send(1)  # the parameter holds from the next frame on

    answer = stream.labels[-1]
    assert answer.state == LabelArray.STATE_DEGRADED
    assert "0.001 ms per frame cannot be kept: least" in answer.reason

    assert set_together(peer, frame_budget_s=0.0).successful
    stream.send(1)
    assert stream.labels[-1].state == LabelArray.STATE_FRESH


@pytest.mark.parametrize(("label", "context"), [("desk", "office"), ("tree", "street")])
def test_the_adapter_of_a_label_of_priority_is_the_last_to_go(
    peer: Peer, active_node, label: str, context: str
) -> None:
    active_node(reuse_s=0.0)
    stream = Stream(peer)
    stream.send(1)
    assert stream.contexts[-1].adapters == ["office", "street"]

    assert set_together(peer, max_adapters=1, priority_labels=[label]).successful
    stream.send(5)

    assert [state.adapters for state in stream.contexts[1:]] == [[context]] * 5


def mean_joules(reports: Sequence[EnergyReport]) -> float:
    return sum(report.joules for report in reports) / len(reports)
