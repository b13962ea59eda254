"""The loop: from "I have never seen this" to a new label on the running robot, in one sitting.

    build/venv/bin/polymorph train config/rooms_and_streets.yaml --out build/rooms_and_streets
    build/venv/bin/python benchmarks/the_loop.py --json build/the_loop.json
    build/venv/bin/python benchmarks/the_loop.py --quick          # a trial; its labels are poor

A node with a bundle of drawn scenes gets a stream of three kinds of grocery that it does not know,
photos that move through drawn rooms. It captures; an owner labels the captures by keyboard, in a
real browser; ``polymorph grow`` trains, and the running node takes the bundle over. Meanwhile the
camera goes on. Then come other photos of the same kinds in other rooms. Needs
../shared/data/grocery, Chromium and playwright.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from json import dumps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import rclpy
import torch
import typer
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter

from parts.examples import ROOT
from parts.loop_metrics import Seen, adapters_identical, missed_frames, new_labels
from parts.machine import machine_facts
from parts.metrics import Results, rounded
from parts.page_owner import label_captures, label_page
from parts.photo_stream import (
    PhotoFrame,
    StreamPlan,
    commonest_kinds,
    photo_stream,
    photos_of,
)
from parts.stream_camera import StreamCamera
from polymorph_ros.bundle.reader import read_bundle
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.accuracy import mean_ap, synthetic_dataset
from polymorph_ros.files import write_json
from polymorph_ros.ros.harness.listener import Listener, NodeOutput
from polymorph_ros.ros.harness.process import (
    ChildProcess,
    isolated_environment,
    running,
    start_node,
)
from polymorph_ros.ros.harness.run import ros
from polymorph_ros.ros.harness.waiting import wait_until
from polymorph_ros.srv import Capture

_DATA = ROOT.parent / "shared/data/grocery"
_KNOWN = ROOT / "build/rooms_and_streets"
_TOPIC, _NODE = "/camera/image", "/polymorph"
_NEAR_NS = 1_000_000  # the page knows stamps to the millisecond
_SETTLE_S, _SERVICE_S = 5.0, 30.0


@dataclass(frozen=True)
class Plan:
    """What is shown.

    Attributes:
        meet: the stream whose frames are captured.
        later: other rooms and other ways, first with the photos of ``meet``, then with others.
        capture_s: seconds between two captured frames.
        ask_s: seconds between two frames that the owner asks the node to keep.
        old: held-out synthetic sequences on which the old labels are measured.
    """

    meet: StreamPlan
    later: StreamPlan
    capture_s: float
    ask_s: float
    old: int


_MEET = StreamPlan("val", seed=1, each=8, crossing_s=5.0, gap_s=1.5, hz=5.0)
_LATER = StreamPlan("test", seed=2, each=8, crossing_s=3.0, gap_s=1.0, hz=5.0)
_FULL = Plan(_MEET, _LATER, capture_s=0.5, ask_s=1.0, old=60)
_QUICK = Plan(
    meet=replace(_MEET, each=2, crossing_s=4.0),
    later=replace(_LATER, each=2),
    capture_s=0.5,
    ask_s=1.0,
    old=4,
)


@dataclass(frozen=True)
class Streams:
    """The frames of a plan, in the order in which they are met."""

    meet: Sequence[PhotoFrame]
    again: Sequence[PhotoFrame]
    other: Sequence[PhotoFrame]

    @classmethod
    def of(cls, plan: Plan, data: Path, kinds: Sequence[str]) -> Streams:
        """Draw them all."""
        met, others = (photos_of(data, kinds, (part,)) for part in ("train", "test"))
        return cls(
            list(photo_stream(plan.meet, met).frames()),
            list(photo_stream(plan.later, met, like=plan.meet).frames()),
            list(photo_stream(plan.later, others).frames()),
        )


@dataclass(frozen=True)
class Places:
    """Where things are, in an empty folder.

    Attributes:
        known: the bundle to begin with.
    """

    folder: Path
    known: Path

    @property
    def bundle(self) -> Path:
        return self.folder / "bundles" / "robot"

    @property
    def captures(self) -> Path:
        return self.folder / "captures"

    @property
    def labels(self) -> Path:
        return self.folder / "labels.csv"


def main(
    json: Annotated[Path | None, typer.Option(help="Where the results go.")] = None,
    data: Annotated[Path, typer.Option(help="The grocery photos.")] = _DATA,
    known: Annotated[Path, typer.Option(help="A bundle that knows none of the kinds.")] = _KNOWN,
    kinds: Annotated[
        str, typer.Option(help="Three kinds, with commas; else the commonest of each group.")
    ] = "",
    keep: Annotated[Path | None, typer.Option(help="Keep captures, table and bundle here.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A trial with few photos.")] = False,
) -> None:
    """Go through the whole loop, and measure it."""
    wanted = tuple(kinds.split(",")) if kinds else commonest_kinds(data)
    try:
        with _folder(keep) as folder:
            places = Places(folder, known)
            results = run_loop(_QUICK if quick else _FULL, data, wanted, places)
    except PolymorphError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    results |= {"quick": quick, "machine": machine_facts()}
    if json is not None:
        write_json(json, results)
    typer.echo(dumps(results, indent=1))


def run_loop(plan: Plan, data: Path, kinds: tuple[str, ...], places: Places) -> Results:
    """The whole loop in an empty folder; what was measured."""
    clock = Clock()
    os.environ.update(isolated_environment(os.environ))
    streams = Streams.of(plan, data, kinds)
    before = read_bundle(places.known)
    shutil.copytree(before.path, places.bundle)
    clock.lap("draw")
    results = _sitting(plan, streams, kinds, places, clock)
    write_json(places.folder / "sitting.json", results | {"seconds": clock.seconds})
    _say("measuring the old labels")
    torch.set_num_threads(1)
    after, held_out = read_bundle(places.bundle), synthetic_dataset(plan.old)
    old_ap, grown_ap = (mean_ap(one, held_out, "cpu") for one in (before, after))
    return {
        "benchmark": "the_loop",
        "minutes": rounded(sum(clock.seconds.values()) / 60),
        **results,
        "old_mean_ap_drop": round(old_ap - grown_ap, 4),
        "old_mean_ap": round(old_ap, 4),
        "old_adapters_identical": adapters_identical(before, after),
        "kinds": list(kinds),
        "seconds": clock.seconds,
        "plan": asdict(plan),
    }


def _sitting(
    plan: Plan, streams: Streams, kinds: tuple[str, ...], places: Places, clock: Clock
) -> Results:
    """From the first frame to the last one, with one node and one camera that never stops."""
    with ExitStack() as stack:
        node = start_node(_parameters(plan, places), places.folder / "node.log")
        stack.enter_context(running(node))
        stack.enter_context(ros())
        output = stack.enter_context(Listener(_NODE)).output
        camera = stack.enter_context(StreamCamera(_TOPIC, plan.meet.hz))
        owner = stack.enter_context(_owner())
        _wait_until_ready(node, camera, output)
        clock.lap("start")
        _say(f"meeting {', '.join(kinds)}")
        camera.play(streams.meet, lambda: _ask_to_keep(owner), plan.ask_s)
        _stop_capturing(owner)
        clock.lap("meet", len(camera.sent))
        camera.loop(streams.meet)
        _say("labelling what was captured")
        log = places.folder / "label.log"
        with label_page(places.captures, places.labels, places.known, log) as page:
            keys = label_captures(page, kinds, Seen(camera.sent, kinds))
            page.screenshot(path=places.folder / "page.png")
        clock.lap("label", len(camera.sent))
        _say("growing")
        _grow(places)
        clock.lap("grow", len(camera.sent))
        _say("meeting the same photos elsewhere, then other photos")
        parts = [camera.play(part) for part in (streams.again, streams.other)]
        _settle(camera, output)
        clock.lap("later", len(camera.sent))
        again, other = (
            new_labels(output, {stamp: camera.sent[stamp] for stamp in part}, kinds)
            for part in parts
        )
        return {
            "actions": keys.actions,
            "new_mean_ap": again["mean_ap"],
            "same_photos_elsewhere": again,
            "other_photos": other,
            **missed_frames(list(camera.sent), output, clock.sent),
            "frames_sent_late": camera.late,
            "captured_frames": keys.frames,
            "moves": keys.moves,
            "letters": keys.letters,
        }


class Clock:
    """Seconds of each part of the loop, and frames sent up to its end, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.sent: dict[str, int] = {}
        self._last_s = time.monotonic()

    def lap(self, name: str, sent: int = 0) -> None:
        """A part ends, after so many frames in all."""
        now_s = time.monotonic()
        self.seconds[name] = rounded(now_s - self._last_s)
        self.sent[name] = sent
        self._last_s = now_s


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """An empty folder: of the user, or one that is removed in the end."""
    if keep is not None:
        keep.mkdir(parents=True)
        yield keep.resolve()
        return
    with TemporaryDirectory(prefix="the_loop_") as name:
        yield Path(name)


def _parameters(plan: Plan, places: Places) -> dict[str, object]:
    """The defaults, but for where things are and how often a frame may be captured."""
    return {
        "autostart": True,
        "image_topics": f"['{_TOPIC}']",
        "bundle": places.bundle,
        "bundle_root": places.bundle.parent,
        "capture.folder": places.captures,
        "capture.min_interval_s": plan.capture_s,
    }


def _wait_until_ready(node: ChildProcess, camera: StreamCamera, output: NodeOutput) -> None:
    def ready() -> bool:
        return camera.matched and output.no_data_ns and output.info is not None

    wait_until(ready, "an active node", node.check, state=lambda: output.model)


@contextmanager
def _owner() -> Iterator[Any]:
    """A ROS node for what the owner types in a terminal."""
    node = rclpy.create_node("loop_owner")
    try:
        yield node
    finally:
        node.destroy_node()


def _ask_to_keep(owner: Any) -> None:
    """`ros2 service call /polymorph/capture polymorph_ros/srv/Capture`."""
    _call(owner, Capture, f"{_NODE}/capture", Capture.Request())


def _stop_capturing(owner: Any) -> None:
    """The owner has enough: `ros2 param set /polymorph capture.folder ''`."""
    value = Parameter("capture.folder", Parameter.Type.STRING, "").to_parameter_msg()
    request = SetParameters.Request(parameters=[value])
    answer = _call(owner, SetParameters, f"{_NODE}/set_parameters", request)
    if not answer.results[0].successful:
        raise PolymorphError("capture switched off", answer.results[0].reason, where=_NODE)


def _call(owner: Any, kind: Any, service: str, request: Any) -> Any:
    client = owner.create_client(kind, service)
    if not client.wait_for_service(_SERVICE_S):
        raise PolymorphError(f"the service {service}", "none")
    future = client.call_async(request)
    rclpy.spin_until_future_complete(owner, future, timeout_sec=_SERVICE_S)
    owner.destroy_client(client)
    if not future.done():
        raise PolymorphError(f"an answer of {service}", f"none within {_SERVICE_S:g} s")
    return future.result()


def _grow(places: Places) -> None:
    """`polymorph grow`, as an owner runs it; the node takes the bundle over at its end."""
    command = [
        *(sys.executable, "-m", "polymorph_ros.cli.main", "grow", str(places.captures)),
        *("--labels", str(places.labels), "--to", str(places.bundle), "--node", _NODE),
        *("--work", str(places.folder / "work")),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    (places.folder / "grow.log").write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1]
        raise PolymorphError("a bundle that has grown", last, where="polymorph grow")


def _settle(camera: StreamCamera, output: NodeOutput) -> None:
    """Wait until every frame is answered, or nothing comes any more."""
    end_s = time.monotonic() + _SETTLE_S
    while time.monotonic() < end_s:
        counts = output.camera.counts
        if counts["received"] >= len(camera.sent) and len(output.answers) >= len(camera.sent):
            return
        time.sleep(0.05)


def _say(line: str) -> None:
    typer.echo(line, err=True)


if __name__ == "__main__":
    typer.run(main)
