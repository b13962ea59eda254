"""One run: start a node and a player, send the images through DDS, collect what comes back."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.signals import SignalHandlerOptions

from polymorph_ros.errors import PolymorphError
from polymorph_ros.ros.harness.listener import Listener, NodeOutput
from polymorph_ros.ros.harness.player_process import PlayerProcess
from polymorph_ros.ros.harness.process import ChildProcess, isolated_environment, start_node
from polymorph_ros.ros.harness.recording import Recording
from polymorph_ros.ros.harness.waiting import wait_until

# Images that wait in the middleware when the whole machine stalls. With the node's own depth of
# 5 some would be overwritten uncounted, and here every frame is to be accounted for.
_IMAGE_DEPTH = 30

_READY_DEADLINE_S = 300.0  # a cold start from a slow disk takes minutes
_STALL_S = 5.0
_REFRESH_S = 0.1

Progress = Callable[[NodeOutput, int], None]
"""Called ten times a second with what was received and how many images were published."""


@dataclass(frozen=True)
class RunSettings:
    """How to run.

    Attributes:
        out: folder for the logs.
        rate: images per second; 0 for the recording's own pace.
        seconds: play so much of the recording; 0 for all of it.
        bundle: the node's bundle; None for its default.
    """

    out: Path
    rate: float = 0.0
    seconds: float = 0.0
    bundle: Path | None = None


@dataclass(frozen=True)
class RunOutput:
    """What came of a run.

    Attributes:
        node: what the node published.
        recorded_ns: stamp in the recording of each published image, by its new stamp, in the
            order of publishing.
        faults: what went wrong with the processes, for people.
    """

    node: NodeOutput
    recorded_ns: Mapping[int, int]
    faults: tuple[str, ...] = ()


def play(
    recording: Recording,
    settings: RunSettings,
    say: Callable[[str], None],
    progress: Progress,
) -> RunOutput:
    """Play a recording to a node of its own.

    Args:
        recording: the images.
        settings: how to run.
        say: takes a line for each step.
        progress: shows how far it is.

    Raises:
        PolymorphError: the node or the player did not start, or ended on its own.
    """
    os.environ.update(isolated_environment(os.environ))
    faults: list[str] = []
    with ExitStack() as stack:
        node = start_node(_parameters(recording, settings.bundle), settings.out / "node.log")
        stack.callback(lambda: faults.extend(_end_node(node)))
        log = settings.out / "player.log"
        player = PlayerProcess(recording, log, rate=settings.rate, seconds=settings.seconds)
        stack.callback(lambda: faults.extend(_end_player(player)))
        stack.enter_context(ros())
        listener = stack.enter_context(Listener())
        say(f"starting node and player in ROS domain {os.environ['ROS_DOMAIN_ID']}")
        _wait_until_ready(node, player, listener.output)
        say(f"playing {recording.title}")
        player.begin()
        _follow(node, player, listener.output, progress)
    return RunOutput(listener.output, player.recorded_ns, tuple(faults))


@contextmanager
def ros() -> Iterator[None]:
    """rclpy in this process, with the signal handlers of Python."""
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        yield
    finally:
        rclpy.try_shutdown()


def _parameters(recording: Recording, bundle: Path | None) -> dict[str, object]:
    topic = recording.topic
    return {
        "autostart": True,
        "image_topics": f"['{topic}']",
        "image_transport": "compressed" if recording.compressed else "raw",
        f"qos_overrides.{topic}.subscription.depth": _IMAGE_DEPTH,
        **({"bundle": bundle} if bundle is not None else {}),
    }


def _wait_until_ready(node: ChildProcess, player: PlayerProcess, output: NodeOutput) -> None:
    """Wait until no image and no answer can be missed.

    A NO_DATA message shows that the node is active and that its answers arrive here; the
    camera's WARN (no image yet, but nothing in the way) that it knows the player.
    """

    def check() -> None:
        node.check()
        player.child.check()
        if output.model_fault:
            raise PolymorphError("a bundle that runs", output.model_fault, where="node")

    def ready() -> bool:
        known = output.camera.level == DiagnosticStatus.WARN
        return player.matched and known and bool(output.no_data_ns) and output.info is not None

    def state() -> str:
        return (
            f"model: {output.model or 'no diagnostics'}; "
            f"camera: {output.camera.message or 'no diagnostics'}; "
            f"player: {'matched' if player.matched else 'no subscriber'}"
        )

    what = "an active node that receives from the player"
    wait_until(ready, what, check, deadline_s=_READY_DEADLINE_S, state=state)


def _follow(
    node: ChildProcess, player: PlayerProcess, output: NodeOutput, progress: Progress
) -> None:
    """Show progress until every frame is accounted for, or nothing changes any more."""
    changed_s, last = time.monotonic(), None
    while not _accounted(player, output):
        node.check()
        now = (len(player.recorded_ns), len(output.answers), output.camera.counts)
        if now != last:
            changed_s, last = time.monotonic(), now
        if player.done and time.monotonic() - changed_s > _STALL_S:
            return
        progress(output, len(player.recorded_ns))
        time.sleep(_REFRESH_S)


def _accounted(player: PlayerProcess, output: NodeOutput) -> bool:
    """Whether the node counted every published frame once, and its answers arrived."""
    camera, published = output.camera, len(player.recorded_ns)
    settled = camera.answered + camera.dropped + camera.rejected + camera.failed
    return (
        player.done
        and camera.received + camera.lost >= published
        and settled >= camera.received
        and len(output.answers) >= camera.answered
    )


def _end_node(node: ChildProcess) -> list[str]:
    code = node.interrupt()
    faults = [f"the node ended with code {code}: see {node.log}"] if code != 0 else []
    if "Traceback" in node.output:
        faults.append(f"the node's log shows a traceback: see {node.log}")
    return faults


def _end_player(player: PlayerProcess) -> list[str]:
    code = player.end()
    return [f"the player ended with code {code}: see {player.child.log}"] if code != 0 else []
