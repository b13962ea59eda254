"""Pins what the node makes of parameter values from files, command lines and services: a whole
number is a good double, every wrong value is named with what was expected and what to do, and
nothing of it is an exception's name. Order and precedence of files are test_launch.py's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from test_live_parameters import set_together

from helpers.ros_peer import Peer
from polymorph_ros.errors import PolymorphError
from polymorph_ros.ros.node import PolymorphNode
from polymorph_ros.ros.parameters import SPECS, Changes

DOUBLES = [spec for spec in SPECS if isinstance(spec.default, float)]


@pytest.fixture
def node_of(peer: Peer, tmp_path: Path) -> Callable[[str], PolymorphNode]:
    """Makes the node under test with these lines of a real params file."""

    def make(lines: str) -> PolymorphNode:
        file = tmp_path / "params.yaml"
        indented = "".join(f"    {line}\n" for line in lines.splitlines())
        file.write_text(f"/**:\n  ros__parameters:\n    device: cpu\n{indented}")
        node = PolymorphNode(cli_args=["--ros-args", "--params-file", str(file)])
        peer.add(node)
        return node

    return make


def refusal(node: PolymorphNode) -> str:
    """The line with which the node refuses to be configured."""
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    return node._fault


def test_case_40_a_whole_number_is_a_good_double_in_a_file(node_of) -> None:
    node = node_of("reuse_s: 5\nno_data_timeout: 3\nenergy.cpu_watts: 12\nthreshold_shift: -1")

    settings = node._node_parameters.settings()

    assert (settings.engine.reuse_s, settings.no_data_timeout_s) == (5.0, 3.0)
    assert (settings.energy.cpu_watts, settings.engine.threshold_shift) == (12.0, -1.0)
    assert node.get_parameter("reuse_s").type_ == Parameter.Type.DOUBLE


@pytest.mark.parametrize("name", [spec.name for spec in DOUBLES if spec.changes is Changes.LIVE])
def test_case_40_a_whole_number_is_a_good_double_in_a_service(
    peer: Peer, make_node, name: str
) -> None:
    node = make_node()
    value = 5 if name != "probe_share" else 0

    result = set_together(peer, **{name: value})

    assert result.successful, result.reason
    assert node.get_parameter(name).type_ == Parameter.Type.DOUBLE
    assert node.get_parameter(name).value == value


@pytest.mark.parametrize(
    ("line", "named", "expected", "remedy"),
    [
        ("cameras: []", "cameras", "a list of names", "restart"),
        ("cameras: front", "cameras", "a list of names", "restart"),
        ("cameras: [1, 2]", "cameras", "a list of names", "restart"),
        ("cameras: [a, a]", "cameras", "each named once", "restart"),
        ("cameras: ['']", "cameras", "names of letters", "restart"),
        ("image_topics: [/one, /two]", "image_topics", "1 different topics", "restart"),
        ("image_topics: ['/a b']", "image_topics", "a valid topic name", "restart"),
        ("image_topics: 7", "image_topics", "a list of names", "restart"),
        ("image_transport: 3", "image_transport", "text", "restart"),
        ("autostart: 1", "autostart", "true or false", "restart"),
        ("bundle: 7", "bundle", "text", "set it right"),
        ("max_adapters: 1.5", "max_adapters", "a whole number from 0 to 100000", "set it right"),
        ("max_adapters: true", "max_adapters", "a whole number from 0 to 100000", "set it right"),
        ("reuse_s: fast", "reuse_s", "a number from 0 to 3600", "set it right"),
        ("reuse_s: -1", "reuse_s", "a number from 0 to 3600", "set it right"),
        ("reuse_s: .nan", "reuse_s", "a number from 0 to 3600", "set it right"),
        ("reuse_s: .inf", "reuse_s", "a number from 0 to 3600", "set it right"),
        ("reuse_s: [1.0]", "reuse_s", "a number from 0 to 3600", "set it right"),
        ("device: tpu", "device", "one of auto, cpu, cuda", ""),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected_and_what_to_do(
    node_of, line: str, named: str, expected: str, remedy: str
) -> None:
    fault = refusal(node_of(line))

    assert named in fault
    assert f"expected {expected}" in fault or expected in fault
    assert remedy in fault
    assert "\n" not in fault
    assert "Exception" not in fault


def test_an_empty_list_of_topics_means_the_default_topics(node_of) -> None:
    node = node_of("image_topics: []")

    assert node._node_parameters.settings().topics == {"camera": "image"}


def test_a_refused_value_can_be_set_right(peer: Peer, node_of) -> None:
    node = node_of("reuse_s: fast")
    refusal(node)

    assert set_together(peer, reuse_s=2).successful

    assert node._node_parameters.settings().engine.reuse_s == 2.0


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("value", [None, True, 3, 2.5, "x", [], [1], [1.5], ["a"], [True], b"x"])
def test_any_value_is_checked_or_refused_by_the_parameters_name(spec, value: Any) -> None:
    try:
        answer = spec.checked(value)
    except PolymorphError as error:
        answer = error

    if isinstance(answer, PolymorphError):
        assert (answer.where, bool(answer.remedy)) == (f"parameter {spec.name}", True)
    else:
        assert type(answer) is type(spec.default)
