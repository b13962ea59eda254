"""Soak the node: a recording in a loop for hours, and what the node's process makes of it.

    build/venv/bin/python benchmarks/soak.py --hours 2 --json build/soak.json
    build/venv/bin/python benchmarks/soak.py --hours 24 --speed 10        # time lapse: 2.4 hours
    build/venv/bin/python benchmarks/soak.py --hours 1 --bag drives/drive00 --continuous

Hours are those of the images' stamps. With --speed they pass faster than the clock. Each lap of the
recording begins with its first stamp again, as a bag that is played in a loop; --continuous lets
stamps go on. Exit code: 0 if the node lived, every image has its fate and memory did not grow by
more than --grow-mib, else 1.
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
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rich.console import Console
from sensor_msgs.msg import CompressedImage, Image

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

_DRAWN_S, _DRAWN_HZ = 30.0, 30.0
_CAMERA_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.BEST_EFFORT
)
_SAMPLE_EVERY_S = 10.0
_WARM_SHARE = 0.1  # of the samples, before which memory still grows into its place
_SETTLE_S = 5.0


@dataclass
class Soak:
    """What was counted so far.

    Attributes:
        sent: images.
        laps: of the recording.
        stamped_s: seconds by the images' stamps.
        late: images that went out more than a period late; the machine was busy.
    """

    sent: int = 0
    laps: int = 0
    stamped_s: float = 0.0
    late: int = 0
    use: UseOverTime = field(default_factory=UseOverTime)


def main(
    hours: Annotated[float, typer.Option(min=0, help="Hours by the images' stamps.")] = 2.0,
    speed: Annotated[float, typer.Option(min=0.01, help="Of the stamps, by the clock.")] = 1.0,
    bag: Annotated[Path | None, typer.Option(help="A recording; else one is drawn.")] = None,
    topic: Annotated[str, typer.Option(help="Its image topic, if it has several.")] = "",
    continuous: Annotated[bool, typer.Option(help="Stamps go on from lap to lap.")] = False,
    bundle: Annotated[Path | None, typer.Option(help="A bundle instead of the default.")] = None,
    grow_mib: Annotated[float, typer.Option(help="Memory that may be gained.")] = 50.0,
    json: Annotated[Path | None, typer.Option(help="Where the results go.")] = None,
) -> None:
    """Play a recording in a loop and follow the node."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # its processes end with it
    soak, seconds = Soak(), hours * 3600
    try:
        with open_watch() as (watch, folder):
            recording = (
                open_recording(bag, topic or None)
                if bag
                else synthetic_recording(folder, _DRAWN_S, _DRAWN_HZ, Console(stderr=True))
            )
            start_s = time.monotonic()
            with running(start_node(_parameters(recording, bundle), folder / "node.log")) as node:
                ended = _soak(soak, watch, node, recording, seconds, speed, continuous)
                _settle(watch, soak)
            results = _results(soak, watch, time.monotonic() - start_s, speed, grow_mib)
            results |= {"ended": ended, "continuous": continuous}
    except PolymorphError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    if json is not None:
        write_json(json, results)
    typer.echo(_summary(results))
    raise typer.Exit(0 if results["passed"] and ended == "in time" else 1)


def _soak(
    soak: Soak,
    watch: NodeWatch,
    node: ChildProcess,
    recording: Recording,
    seconds: float,
    speed: float,
    continuous: bool,
) -> str:
    """Publish until the stamps have gone on for so long; why it ended."""
    kind = CompressedImage if recording.compressed else Image
    publisher = watch.ros.create_publisher(kind, recording.topic, _CAMERA_QOS)
    wait_until(lambda: publisher.get_subscription_count() > 0, "a subscriber", node.check)
    wait_until(lambda: watch.states.total() > 0, "an active node", node.check)
    begin_s = sampled_s = time.monotonic()
    try:
        for image_s, stamp_ns, message in _images(soak, recording, continuous):
            soak.stamped_s = image_s
            if image_s >= seconds:
                break
            due_s, now_s = begin_s + image_s / speed, time.monotonic()
            time.sleep(max(0.0, due_s - now_s))
            soak.late += now_s - due_s > 1.0 / _DRAWN_HZ
            publisher.publish(restamped(message, stamp_ns))
            soak.sent += 1
            if now_s - sampled_s > _SAMPLE_EVERY_S:
                sampled_s = now_s
                node.check()
                soak.use.sample(node.process.pid)
    except KeyboardInterrupt:
        return "interrupted"
    return "in time"


def _images(
    soak: Soak, recording: Recording, continuous: bool
) -> Iterator[tuple[float, int, bytes]]:
    """Seconds since the beginning, the stamp to give, and the message; lap after lap."""
    base_ns = time.time_ns()
    offset_ns = 0
    while True:
        first_ns = last_ns = step_ns = None
        for message in recording.messages():
            stamp_ns = stamp_of(message)
            first_ns = stamp_ns if first_ns is None else first_ns
            step_ns = stamp_ns - last_ns if last_ns is not None else step_ns
            last_ns = stamp_ns
            since_ns = offset_ns + stamp_ns - first_ns
            given_ns = since_ns if continuous else since_ns - offset_ns
            yield since_ns / NS_PER_S, base_ns + given_ns, message
        if first_ns is None or last_ns is None or not last_ns > first_ns:
            raise PolymorphError("a recording with stamps that go on", "none", where="--bag")
        offset_ns += last_ns - first_ns + (step_ns or 0)
        soak.laps += 1


def _settle(watch: NodeWatch, soak: Soak) -> None:
    """Wait until the node's counts are those of all images, or rest."""
    end_s = time.monotonic() + _SETTLE_S
    while time.monotonic() < end_s:
        for status in watch.statuses.values():
            if status.received + status.lost >= soak.sent:
                return
        time.sleep(0.1)


def _parameters(recording: Recording, bundle: Path | None) -> dict[str, object]:
    return {
        "autostart": True,
        "image_topics": f"['{recording.topic}']",
        "image_transport": "compressed" if recording.compressed else "raw",
        **({"bundle": bundle} if bundle is not None else {}),
    }


def _results(
    soak: Soak, watch: NodeWatch, seconds: float, speed: float, grow_mib: float
) -> Results:
    counts: Counter[str] = Counter()
    for status in watch.statuses.values():
        counts.update(status.counts)
    settled = sum(counts[name] for name in ("answered", "dropped", "rejected", "failed"))
    warm = soak.use.samples[int(len(soak.use.samples) * _WARM_SHARE) :]
    grown = warm[-1].resident_mib - warm[0].resident_mib if warm else 0.0
    balance = {
        "unsettled": counts["received"] - settled,
        "missing": soak.sent - counts["received"] - counts["lost"],
    }
    return {
        "benchmark": "soak",
        "machine": machine_facts(),
        "hours_by_stamps": rounded(soak.stamped_s / 3600),
        "hours_by_clock": rounded(seconds / 3600),
        "speed": speed,
        "laps": soak.laps,
        "sent": soak.sent,
        "sent_late": soak.late,
        **dict(counts),
        "balance": balance,
        "states": dict(watch.states),
        "longest_gap_s": rounded(watch.longest_gap_s),
        "grown_mib": rounded(grown),
        "use": soak.use.results(),
        "passed": abs(balance["unsettled"]) <= 2 and grown <= grow_mib,
    }


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
