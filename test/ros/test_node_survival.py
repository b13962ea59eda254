"""Pins that nothing that others send ends the node: errors in callbacks, its own and rclpy's, are
logged, counted and survived; requests that cannot be read are refused; and a node that cannot spin
any more ends with code 1. A million such messages are sent by benchmarks, not here."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.node import Node
from rclpy.serialization import serialize_message
from rclpy.waitable import NumberOfEntities, Waitable
from rosgraph_msgs.msg import Clock

from helpers.ros_peer import Peer, latest_status, picture, value_of
from helpers.ros_process import NodeProcess
from polymorph_ros.msg import LabelArray
from polymorph_ros.ros.harness.images import image_message
from polymorph_ros.ros.spinning import SteadyExecutor

UNKNOWN_TYPE = [
    Parameter(name="max_adapters", value=ParameterValue(type=2, integer_value=3)),
    Parameter(name="max_rate_hz", value=ParameterValue(type=99)),
    Parameter(name="reuse_s", value=ParameterValue(type=3, double_value=0.5)),
]


def send_unknown_type(peer: Peer) -> None:
    response = peer.call(SetParameters, "polymorph/set_parameters", parameters=UNKNOWN_TYPE)
    assert [result.successful for result in response.results] == [True, False, False]
    assert "99" in response.results[1].reason


def send_unknown_type_atomically(peer: Peer) -> None:
    response = peer.call(
        SetParametersAtomically, "polymorph/set_parameters_atomically", parameters=UNKNOWN_TYPE
    )
    assert not response.result.successful
    assert "99" in response.result.reason


def send_negative_clock(peer: Peer) -> None:
    clock = peer.node.create_publisher(Clock, "/clock", 10)
    peer.wait_for(clock.get_subscription_count, "the node's subscription of /clock")
    message = Clock()
    message.clock.sec = -5
    for _ in range(5):  # best effort
        clock.publish(message)
        peer.spin_for(0.1)
    peer.node.destroy_publisher(clock)


@pytest.mark.parametrize(
    "send",
    [send_unknown_type, send_unknown_type_atomically, send_negative_clock],
)
def test_a_malformed_message_is_logged_and_counted_and_images_are_still_answered(
    peer: Peer, bundle_root: Path, send: Callable[[Peer], None]
) -> None:
    given = {"bundle": bundle_root / "tiny", "device": "cpu", "cpu_threads": 1}
    with NodeProcess(parameters={**given, "autostart": True, "use_sim_time": True}) as process:
        process.wait_for_words("ready after")
        reports = peer.listen(DiagnosticArray, "/diagnostics")

        send(peer)

        peer.wait_for(lambda: errors(reports) > 0, "the error in diagnostics")
        process.wait_for_words("the node goes on after an error in the s")
        heard = peer.listen(LabelArray, "polymorph/labels")
        images = peer.images("image")
        with peer.camera(images):
            peer.wait_for(lambda: [m for m in heard if m.state != m.STATE_NO_DATA], "an answer")
        assert peer.state("polymorph") == "active"
        process.send(signal.SIGINT)
        assert process.end() == 0
        assert "Traceback" not in process.output


def test_damaged_serialised_images_do_not_deafen_it(peer: Peer, active_node) -> None:
    active_node()
    heard = peer.listen(LabelArray, "polymorph/labels")
    images = peer.images("image")
    whole = serialize_message(image_message(picture(), stamp_ns=1, encoding="rgb8"))
    damaged = [
        whole[:4], whole[:40], whole[:-100], b"\xff\xff" + whole[2:],
        whole.replace(b"rgb8", b"\xff\xfe\xff\xfe"),
        whole.replace(b"\x05\0\0\0rgb8", b"\xff\xff\xff\x7frgb8"),
    ]  # fmt: skip

    for content in damaged:
        images.publish(content)
        peer.spin_for(0.05)

    def answered() -> bool:
        images.publish(image_message(picture(), stamp_ns=7))
        return any(m.header.stamp.nanosec == 7 for m in heard if m.state != m.STATE_NO_DATA)

    peer.wait_for(answered, "an answer")


class Untakeable(Waitable):
    """A waitable that is always ready, and whose data can never be taken."""

    def __init__(self, node: Node) -> None:
        super().__init__(node.default_callback_group)
        self.guard = node.create_guard_condition(lambda: None)
        node.add_waitable(self)

    def __enter__(self) -> None:
        """Nothing that the middleware could destroy meanwhile."""

    def __exit__(self, *_error: object) -> None:
        """Nothing either."""

    def get_num_entities(self) -> NumberOfEntities:
        return NumberOfEntities(0, 1)

    def add_to_wait_set(self, wait_set: Any) -> None:
        self.guard.trigger()
        wait_set.add_guard_condition(self.guard.handle)

    def is_ready(self, wait_set: Any) -> bool:
        return True

    def take_data(self) -> None:
        raise RuntimeError("cannot be decoded")


def test_what_cannot_be_taken_does_not_lock_its_callback_group() -> None:
    node = Node("untakeable")
    faults: list[Exception] = []
    ticks: list[int] = []
    executor = SteadyExecutor(lambda error, _entity: faults.append(error))
    executor.add_node(node)
    Untakeable(node)
    node.create_timer(0.001, lambda: ticks.append(1))

    end = time.monotonic() + 20.0
    while (len(ticks) < 3 or len(faults) < 3) and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
    executor.shutdown()
    node.destroy_node()

    assert len(ticks) >= 3
    assert {str(fault) for fault in faults} == {"cannot be decoded"}


def errors(reports: list[DiagnosticArray]) -> int:
    status = latest_status(reports, "polymorph: node")
    return int(value_of(status, "callback_errors")) if status else 0


def test_diagnostics_warn_of_an_error_once_and_keep_the_count(peer: Peer, make_node) -> None:
    node = make_node()
    reports = peer.listen(DiagnosticArray, "/diagnostics")
    node.callback_faults.note(ValueError("no such thing"), None)

    def level_is(level: bytes) -> bool:
        status = latest_status(reports, "polymorph: node")
        return status is not None and status.level == level

    peer.wait_for(lambda: level_is(DiagnosticStatus.WARN), "a warning")
    warning = latest_status(reports, "polymorph: node")
    peer.wait_for(lambda: level_is(DiagnosticStatus.OK), "no more of it")
    assert "ValueError: no such thing" in warning.message
    assert errors(reports) == 1


BROKEN = """
from rclpy.waitable import Waitable
from polymorph_ros.ros import main, node

class Broken(Waitable):
    def __enter__(self): pass
    def __exit__(self, *error): pass
    def get_num_entities(self):
        raise RuntimeError("nothing can be waited for")
    def is_ready(self, wait_set): return False

class BrokenNode(node.PolymorphNode):
    def on_activate(self, state):
        self._broken = Broken(self.default_callback_group)
        self.add_waitable(self._broken)
        return super().on_activate(state)

node.PolymorphNode = BrokenNode
main.main()
"""


def test_a_node_that_cannot_spin_any_more_ends_at_once_with_code_1(bundle_root: Path) -> None:
    arguments = ["--ros-args", "-p", "autostart:=true", "-p", f"bundle:='{bundle_root}/tiny'"]

    ended = subprocess.run(
        [sys.executable, "-c", BROKEN, *arguments], capture_output=True, text=True, timeout=60
    )

    assert ended.returncode == 1, ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert last == "polymorph cannot go on: SpinError: RuntimeError: nothing can be waited for"
    assert "Traceback" not in ended.stderr
    assert rclpy.ok()
