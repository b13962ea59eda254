"""One run: node and player start, the images go through DDS, everything heard comes back."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.signals import SignalHandlerOptions
from rich.console import Console
from rich.live import Live

from polymorph_ros.bundle.manifest import MANIFEST_FILE
from polymorph_ros.errors import PolymorphError
from polymorph_ros.ros.demo.child import Child, surroundings
from polymorph_ros.ros.demo.listener import Heard, Listener, wait_until
from polymorph_ros.ros.demo.node_process import start_node
from polymorph_ros.ros.demo.player_process import PlayerProcess
from polymorph_ros.ros.demo.recording import Recording
from polymorph_ros.ros.demo.table import live_view

_READY_DEADLINE_S = 300.0  # a cold start from a slow disk takes minutes
_STALL_S = 5.0
_REFRESH_S = 0.1


@dataclass(frozen=True)
class Settings:
    """How to run.

    Attributes:
        out: folder for the logs.
        rate: images per second; 0 for the recording's own pace.
        seconds: play so much of the recording; 0 for all of it.
        bundle: the node's bundle; None for its default.
        live: whether to show the live view.
    """

    out: Path
    rate: float
    seconds: float
    bundle: Path | None
    live: bool


@dataclass(frozen=True)
class Played:
    """What came of a run.

    Attributes:
        recorded_ns: recorded stamp of each published image, by its published stamp.
        faults: what went wrong with the processes, in words.
    """

    heard: Heard
    recorded_ns: Mapping[int, int]
    faults: tuple[str, ...]


def play(recording: Recording, settings: Settings, console: Console) -> Played:
    """Play a recording to a node of its own.

    Raises:
        PolymorphError: the node or the player did not start, or ended on its own.
    """
    os.environ.update(surroundings(os.environ))
    faults: list[str] = []
    with ExitStack() as stack:
        node = start_node(
            recording.topic, settings.out / "node.log",
            compressed=recording.compressed, bundle=settings.bundle,
        )  # fmt: skip
        stack.callback(lambda: faults.extend(_end_node(node)))
        player = PlayerProcess(
            recording, settings.out / "player.log", rate=settings.rate, seconds=settings.seconds
        )
        stack.callback(lambda: faults.extend(_end_player(player)))
        stack.enter_context(_ros())
        listener = stack.enter_context(Listener())
        console.print(f"[dim]node and player start; ROS domain {os.environ['ROS_DOMAIN_ID']}[/dim]")
        _wait_until_ready(node, player, listener.heard)
        console.print(f"[dim]playing {recording.material}[/dim]")
        player.begin()
        _follow(node, player, listener.heard, recording, console, live=settings.live)
    return Played(listener.heard, player.recorded_ns, tuple(faults))


def stated_floor(heard: Heard) -> float | None:
    """The mean average precision that the running bundle states as its floor."""
    if not heard.bundle:
        return None
    text = (Path(heard.bundle) / MANIFEST_FILE).read_text()
    floor: float | None = json.loads(text).get("metrics", {}).get("mean_ap_floor")
    return floor


@contextmanager
def _ros() -> Iterator[None]:
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        yield
    finally:
        rclpy.try_shutdown()


def _wait_until_ready(node: Child, player: PlayerProcess, heard: Heard) -> None:
    """Wait until no image and no answer can be missed.

    A NO_DATA message shows that the node is active and that its answers come through to here;
    the camera's WARN (no image yet, but nothing in the way) that it knows the player.
    """

    def check() -> None:
        node.check()
        player.child.check()
        if heard.model_fault:
            raise PolymorphError("a bundle that runs", heard.model_fault, where="node")

    def ready() -> bool:
        known = heard.camera.level == DiagnosticStatus.WARN
        return player.matched and known and heard.silences > 0 and heard.info is not None

    def state() -> str:
        return (
            f"model: {heard.model or 'not a word from the node'}; "
            f"camera: {heard.camera.words or 'none'}; "
            f"player: {'matched' if player.matched else 'no subscriber'}"
        )

    wait_until(ready, "an active node that hears the player", _READY_DEADLINE_S, check, state)


def _follow(
    node: Child,
    player: PlayerProcess,
    heard: Heard,
    recording: Recording,
    console: Console,
    *,
    live: bool,
) -> None:
    """Show what comes in until every frame is accounted for, or nothing moves any more."""
    moved_s, last = time.monotonic(), None
    with ExitStack() as stack:
        screen = stack.enter_context(Live(console=console, auto_refresh=False)) if live else None
        while not _accounted(player, heard):
            node.check()
            now = (len(player.recorded_ns), len(heard.answers), heard.camera.counts)
            if now != last:
                moved_s, last = time.monotonic(), now
            if player.done and time.monotonic() - moved_s > _STALL_S:
                return
            if screen is not None:
                screen.update(
                    live_view(heard, len(player.recorded_ns), recording.count), refresh=True
                )
            time.sleep(_REFRESH_S)


def _accounted(player: PlayerProcess, heard: Heard) -> bool:
    """Whether every published frame is in one column of the node's account, and heard."""
    camera, published = heard.camera, len(player.recorded_ns)
    settled = camera.answered + camera.dropped + camera.rejected + camera.failed
    return (
        player.done
        and camera.received + camera.lost >= published
        and settled >= camera.received
        and len(heard.answers) >= camera.answered
    )


def _end_node(node: Child) -> list[str]:
    code = node.interrupt()
    faults = [f"the node ended with code {code}: see {node.log}"] if code != 0 else []
    if "Traceback" in node.log.read_text(errors="replace"):
        faults.append(f"the node's log shows a traceback: see {node.log}")
    return faults


def _end_player(player: PlayerProcess) -> list[str]:
    code = player.end()
    return [f"the player ended with code {code}: see {player.child.log}"] if code != 0 else []
