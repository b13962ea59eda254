"""Soak the node: a recording in a loop for hours, and what the node's process makes of it.

    build/venv/bin/python benchmarks/soak.py --hours 2 --json build/soak.json
    build/venv/bin/python benchmarks/soak.py --hours 2 --rate 10 --disturb 10  # and it is operated
    build/venv/bin/python benchmarks/soak.py --hours 24 --speed 10        # time lapse: 2.4 hours
    build/venv/bin/python benchmarks/soak.py --hours 1 --bag drives/drive00 --continuous

Hours are those of the images' stamps. With --speed they pass faster than the clock. Each lap of the
recording begins with its first stamp again, as a bag that is played in a loop; --continuous lets
stamps go on. With --disturb, every so many seconds the bundle is loaded again, a parameter set, the
context reset, or the node taken through its lifecycle; images are held back for the latter only.
The results so far are written every 10 seconds. Exit code: 0 if the node lived, did what it was
asked to, every image has its fate and memory did not grow by more than --grow-mib, else 1.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from lifecycle_msgs.msg import Transition
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rich.console import Console
from sensor_msgs.msg import CompressedImage, Image

from parts.disturbances import CLEAN_UP, DEACTIVATE, Disturbances
from parts.machine import machine_facts
from parts.metrics import Results, rounded
from parts.node_watch import NodeWatch
from parts.process_use import UseOverTime
from parts.watch_stage import open_watch
from polymorph_ros.arrays import NS_PER_S
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import write_json
from polymorph_ros.ros.demo.synthetic_recording import synthetic_recording
from polymorph_ros.ros.harness.process import ChildProcess, running, start_node
from polymorph_ros.ros.harness.recording import Recording, open_recording, restamped, stamp_of
from polymorph_ros.ros.harness.waiting import wait_until

_DRAWN_S = 30.0
_LATE_S = 0.03
_CAMERA_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.BEST_EFFORT
)
_CYCLES = {
    DEACTIVATE: (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE),
    CLEAN_UP: (
        Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP,
        Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE,
    ),
}  # fmt: skip
_SAMPLE_EVERY_S = 10.0
_SERIES_EVERY = 30  # samples
_WARM_SHARE = 0.1  # of the samples, before which memory still grows into its place
_SETTLE_S = 5.0


@dataclass(frozen=True)
class Plan:
    """What to play, how long, and how.

    Attributes:
        seconds: by the images' stamps.
        speed: of the stamps, by the clock.
        continuous: whether stamps go on from lap to lap.
        grow_mib: memory that may be gained.
        path: where the results go; None: nowhere.
    """

    recording: Recording
    seconds: float
    speed: float
    continuous: bool
    grow_mib: float
    path: Path | None


@dataclass
class Soak:
    """What was counted so far.

    Attributes:
        sent: images.
        laps: of the recording.
        stamped_s: seconds by the images' stamps.
        late: images that went out much later than due; the machine was busy.
        before: counts of the node before it was configured last.
    """

    sent: int = 0
    laps: int = 0
    stamped_s: float = 0.0
    late: int = 0
    before: Counter[str] = field(default_factory=Counter)
    start_s: float = field(default_factory=time.monotonic)
    use: UseOverTime = field(default_factory=UseOverTime)


def main(
    hours: Annotated[float, typer.Option(min=0, help="Hours by the images' stamps.")] = 2.0,
    speed: Annotated[float, typer.Option(min=0.01, help="Of the stamps, by the clock.")] = 1.0,
    bag: Annotated[Path | None, typer.Option(help="A recording; else one is drawn.")] = None,
    topic: Annotated[str, typer.Option(help="Its image topic, if it has several.")] = "",
    rate: Annotated[float, typer.Option(min=0.1, help="Hz of the drawn recording.")] = 30.0,
    continuous: Annotated[bool, typer.Option(help="Stamps go on from lap to lap.")] = False,
    disturb: Annotated[
        float, typer.Option(min=0, help="Seconds between two reloads, parameters …; 0: none.")
    ] = 0.0,
    bundle: Annotated[Path | None, typer.Option(help="A bundle instead of the default.")] = None,
    grow_mib: Annotated[float, typer.Option(help="Memory that may be gained.")] = 50.0,
    json: Annotated[Path | None, typer.Option(help="Where the results go.")] = None,
) -> None:
    """Play a recording in a loop and follow the node."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # its processes end with it
    try:
        with open_watch() as (watch, folder):
            recording = (
                open_recording(bag, topic or None)
                if bag
                else synthetic_recording(folder, _DRAWN_S, rate, Console(stderr=True))
            )
            plan = Plan(recording, hours * 3600, speed, continuous, grow_mib, json)
            disturbances = Disturbances(watch, bundle.name if bundle else "default", disturb)
            with running(start_node(_parameters(recording, bundle), folder / "node.log")) as node:
                performance = _Performance(plan, watch, node, disturbances)
                ended = performance.play()
            results = performance.results(ended)
    except PolymorphError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(_summary(results))
    raise typer.Exit(0 if results["passed"] and ended == "in time" else 1)


class _Performance:
    """Plays to the node, disturbs it, and counts."""

    def __init__(
        self, plan: Plan, watch: NodeWatch, node: ChildProcess, disturbances: Disturbances
    ) -> None:
        self._plan, self._watch, self._node = plan, watch, node
        self._disturbances = disturbances
        self._soak = Soak()
        self._last = b""
        kind = CompressedImage if plan.recording.compressed else Image
        self._publisher = watch.ros.create_publisher(kind, _topic(plan.recording), _CAMERA_QOS)

    def play(self) -> str:
        """Publish until the stamps have gone on for so long; why it ended."""
        soak, plan = self._soak, self._plan
        self._wait_for_subscriber()
        wait_until(lambda: self._watch.states.total() > 0, "an active node", self._node.check)
        soak.start_s = begin_s = time.monotonic()
        sampled_s = 0.0
        try:
            for image_s, stamp_ns, message in _images(soak, plan):
                soak.stamped_s = image_s
                now_s = time.monotonic()
                if image_s >= plan.seconds or now_s - soak.start_s >= plan.seconds / plan.speed:
                    break
                due_s = begin_s + image_s / plan.speed
                time.sleep(max(0.0, due_s - now_s))
                soak.late += now_s - due_s > _LATE_S
                self._publish(restamped(message, stamp_ns))
                if now_s - sampled_s > _SAMPLE_EVERY_S:
                    sampled_s = now_s
                    self._sample()
                begin_s += self._disturb()
        except KeyboardInterrupt:
            return self._end("interrupted")
        return self._end("in time")

    def _publish(self, message: bytes) -> None:
        self._publisher.publish(message)
        self._soak.sent += 1
        self._last = message

    def _end(self, why: str) -> str:
        self._settle()
        self._write(why)
        return why

    def _sample(self) -> None:
        self._node.check()
        self._soak.use.sample(self._node.process.pid)
        self._write("running")

    def _disturb(self) -> float:
        """Disturb the node if it is time to; the seconds for which no image was sent."""
        start_s = time.monotonic()
        kind = self._disturbances.due()
        if kind in _CYCLES:
            self._cycle(kind)
        elif kind:
            self._disturbances.begin(kind)
        return time.monotonic() - start_s

    def _cycle(self, kind: str) -> None:
        """Take the node through transitions, between two images."""
        self._settle()
        if kind == CLEAN_UP:
            self._soak.before = self._counts()
        self._disturbances.change_state(kind, *_CYCLES[kind])
        self._wait_for_subscriber()
        self._watch.pause()
        if kind == CLEAN_UP:  # the node counts from zero
            self._watch.statuses.clear()

    def _wait_for_subscriber(self) -> None:
        wait_until(
            lambda: self._publisher.get_subscription_count() > 0, "a subscriber", self._node.check
        )

    def _settle(self) -> None:
        """Wait until the node has reported the fate of all images, or has had the time to.

        A loss shows when the next image arrives: the last one goes out once more.
        """
        start_s = sent_s = time.monotonic()
        while any(self._balance().values()) and time.monotonic() - start_s < _SETTLE_S:
            time.sleep(0.05)
            if time.monotonic() - sent_s > _SETTLE_S / 3:
                sent_s = time.monotonic()
                self._publish(self._last)

    def _counts(self) -> Counter[str]:
        counts = self._soak.before.copy()
        for status in list(self._watch.statuses.values()):
            counts.update(status.counts)
        return counts

    def _balance(self) -> dict[str, int]:
        counts = self._counts()
        settled = sum(counts[name] for name in ("answered", "dropped", "rejected", "failed"))
        return {
            "unsettled": counts["received"] - settled,
            "missing": self._soak.sent - counts["received"] - counts["lost"],
        }

    def _write(self, ended: str) -> None:
        if self._plan.path is not None:
            write_json(self._plan.path, self.results(ended))

    def results(self, ended: str) -> Results:
        """Everything counted so far."""
        soak, plan, balance = self._soak, self._plan, self._balance()
        warm = soak.use.samples[int(len(soak.use.samples) * _WARM_SHARE) :]
        grown = warm[-1].resident_mib - warm[0].resident_mib if warm else 0.0
        disturbed = self._disturbances.results()
        refused = sum(kind["failed"] for kind in disturbed.values())
        return {
            "benchmark": "soak",
            "machine": machine_facts(),
            "hours_by_stamps": rounded(soak.stamped_s / 3600),
            "hours_by_clock": rounded((time.monotonic() - soak.start_s) / 3600),
            "speed": plan.speed,
            "continuous": plan.continuous,
            "laps": soak.laps,
            "sent": soak.sent,
            "sent_late": soak.late,
            **dict(self._counts()),
            "balance": balance,
            "states": dict(self._watch.states),
            "longest_gap_s": rounded(self._watch.longest_gap_s),
            "disturbances": disturbed,
            "grown_mib": rounded(grown),
            "use": soak.use.results(),
            "resident_mib_every_5_minutes": [
                rounded(use.resident_mib) for use in soak.use.samples[::_SERIES_EVERY]
            ],
            "ended": ended,
            "passed": not any(balance.values()) and grown <= plan.grow_mib and not refused,
        }


def _images(soak: Soak, plan: Plan) -> Iterator[tuple[float, int, bytes]]:
    """Seconds since the beginning, the stamp to give, and the message; lap after lap."""
    base_ns = time.time_ns()
    offset_ns = 0
    while True:
        first_ns = last_ns = step_ns = None
        for message in plan.recording.messages():
            stamp_ns = stamp_of(message)
            first_ns = stamp_ns if first_ns is None else first_ns
            step_ns = stamp_ns - last_ns if last_ns is not None else step_ns
            last_ns = stamp_ns
            since_ns = offset_ns + stamp_ns - first_ns
            given_ns = since_ns if plan.continuous else since_ns - offset_ns
            yield since_ns / NS_PER_S, base_ns + given_ns, message
        if first_ns is None or last_ns is None or not last_ns > first_ns:
            raise PolymorphError("a recording with stamps that go on", "none", where="--bag")
        offset_ns += last_ns - first_ns + (step_ns or 0)
        soak.laps += 1


def _parameters(recording: Recording, bundle: Path | None) -> dict[str, object]:
    return {
        "autostart": True,
        "image_topics": f"['{_topic(recording)}']",
        "image_transport": "compressed" if recording.compressed else "raw",
        **({"bundle": bundle, "bundle_root": bundle.parent} if bundle is not None else {}),
    }


def _topic(recording: Recording) -> str:
    """The topic to publish on; that of compressed images must say so."""
    if recording.compressed and not recording.topic.endswith("/compressed"):
        return f"{recording.topic}/compressed"
    return recording.topic


def _summary(results: Results) -> str:
    names = ("sent", "received", "answered", "dropped", "rejected", "failed", "lost")
    counted = ", ".join(f"{results.get(name, 0)} {name}" for name in names)
    return (
        f"{results['hours_by_stamps']} h by stamps in {results['laps']} laps: {counted}; "
        f"balance {results['balance']}; memory grown by {results['grown_mib']} MiB; "
        f"longest gap {results['longest_gap_s']} s"
    )


if __name__ == "__main__":
    typer.run(main)
