"""Fuzz the node: a million messages that no driver should send, to a real node process over DDS.

    build/venv/bin/python benchmarks/fuzz.py --messages 1000000 --json build/fuzz.json
    build/venv/bin/python benchmarks/fuzz.py --seed 7 --burst 1234 --transport raw

Images, damaged CDR, parameters, services and clocks, in bursts that the seed decides. A burst after
which the node is dead or mute is repeated message by message with a fresh node, to name the one
that did it; then it goes on. What the counts mean: docs/benchmarks.md. Exit code: 0 if the node
survived everything and every image has its fate, else 1.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from parts.fuzz_messages import KINDS, Shot, burst
from parts.fuzz_target import CAMERAS, Death, FuzzTarget, alive, balance
from parts.machine import machine_facts
from parts.metrics import Results, rounded
from parts.node_watch import NodeWatch
from parts.watch_stage import open_watch
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import write_json
from polymorph_ros.ros.harness.listener import CameraStatus

_MOST_DEATHS = 50
_SHOWN = 300


class Transport(str, Enum):
    """What the fuzzed topics carry."""

    RAW = "raw"
    COMPRESSED = "compressed"
    BOTH = "both"


@dataclass
class Leg:
    """What came of one transport's share.

    Attributes:
        lives: results of each node's life.
        deaths: what ended lives early.
        bursts: how many were fired.
    """

    lives: list[Results] = field(default_factory=list)
    deaths: list[Results] = field(default_factory=list)
    bursts: int = 0

    @property
    def sent(self) -> int:
        """Messages and requests so far."""
        return sum(sum(life["sent"].values()) for life in self.lives)


@dataclass(frozen=True)
class Task:
    """What a leg has to do."""

    seed: int
    compressed: bool
    messages: int
    first_burst: int
    end_s: float
    kinds: tuple[str, ...]
    bundle: Path | None
    folder: Path


def main(
    messages: Annotated[int, typer.Option(min=1, help="Messages and requests to send.")] = 20_000,
    minutes: Annotated[float, typer.Option(min=0, help="Stop after so long; 0: never.")] = 0.0,
    seed: Annotated[int, typer.Option(help="The same seed sends the same messages.")] = 0,
    transport: Annotated[Transport, typer.Option(help="raw, compressed or both.")] = Transport.BOTH,
    burst_number: Annotated[
        int | None, typer.Option("--burst", help="Only this burst, message by message.")
    ] = None,
    first_burst: Annotated[int, typer.Option(help="Begin with this one, to go on.")] = 0,
    kind: Annotated[
        list[str] | None, typer.Option(help=f"Only bursts of these kinds: {', '.join(KINDS)}.")
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="A bundle instead of the default.")] = None,
    json: Annotated[Path | None, typer.Option(help="Where the results go.")] = None,
) -> None:
    """Send what no driver should send, and count."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # its processes end with it
    bundle, json = bundle and bundle.resolve(), json and json.resolve()
    chosen = [Transport.RAW, Transport.COMPRESSED] if transport is Transport.BOTH else [transport]
    if set(kind or ()) - set(KINDS):
        raise typer.BadParameter(f"kinds are {', '.join(KINDS)}", param_hint="--kind")
    end_s = time.monotonic() + minutes * 60 if minutes else float("inf")
    legs: dict[str, Leg] = {}
    start_s = time.monotonic()
    try:
        with open_watch() as (watch, folder):
            os.chdir(folder)  # a parameter may make the node write files
            for place, way in enumerate(chosen):
                share = (end_s - time.monotonic()) / (len(chosen) - place)
                task = Task(
                    seed, way is Transport.COMPRESSED, messages // len(chosen), first_burst,
                    time.monotonic() + share, tuple(kind or KINDS), bundle, folder,
                )  # fmt: skip
                leg = legs[way.value] = Leg()
                if burst_number is not None:
                    _replay(watch, task, burst_number, leg)
                else:
                    _run(watch, task, leg)
    except PolymorphError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("interrupted; what was counted is written", err=True)
    results = _results(legs, seed, time.monotonic() - start_s)
    if json is not None:
        write_json(json, results)
    typer.echo(_summary(results))
    raise typer.Exit(0 if results["survived"] else 1)


def _run(watch: NodeWatch, task: Task, leg: Leg) -> None:
    """Fire bursts, with another node after each death."""
    number = task.first_burst
    while _goes_on(task, leg, leg.sent):
        with alive(watch, task.folder, task.compressed, task.bundle) as target:
            cause = ""
            try:
                before = leg.sent
                while _goes_on(task, leg, before + target.sent.total()):
                    number += 1
                    shots = burst(task.seed, number - 1, task.compressed)
                    if shots[0].kind not in task.kinds:
                        continue
                    leg.bursts += 1
                    target.fire(shots)
                    _show(leg, before + target.sent.total(), task)
            except Death as death:
                cause = str(death)
            except KeyboardInterrupt:
                leg.lives.append(_life(target, watch, cause))
                raise
            leg.lives.append(_life(target, watch, cause))
        if cause:
            _replay(watch, task, number - 1, leg, cause)


def _goes_on(task: Task, leg: Leg, sent: int) -> bool:
    return sent < task.messages and len(leg.deaths) < _MOST_DEATHS and time.monotonic() < task.end_s


def _replay(watch: NodeWatch, task: Task, number: int, leg: Leg, first: str = "") -> None:
    """Fire one burst message by message, and note the one that the node does not survive."""
    shots = burst(task.seed, number, task.compressed)
    found: Results = {
        "burst": number,
        "kind": shots[0].kind,
        "cause": first,
        "message": "none alone",
    }
    with alive(watch, task.folder, task.compressed, task.bundle) as target:
        for place, shot in enumerate(shots):
            try:
                target.fire([shot])
            except Death as death:
                found |= {"message": _describe(place, shot), "cause": str(death)}
                found["log"] = _last_words(task.folder / "node.log")
                break
    if first or "log" in found:
        leg.deaths.append(found)
        typer.echo(f"burst {number} ({found['kind']}): {found['cause']}: {found['message']}")


def _describe(place: int, shot: Shot) -> str:
    payload = shot.payload.hex() if isinstance(shot.payload, bytes) else repr(shot.payload)
    return f"{place}: {shot.kind}, {shot.name}: {payload[:_SHOWN]}"


def _last_words(log: Path) -> list[str]:
    return [line[:_SHOWN] for line in log.read_text(errors="replace").splitlines()[-5:]]


def _life(target: FuzzTarget, watch: NodeWatch, cause: str) -> Results:
    counts = dict(watch.statuses) if cause else target.counts()
    total: Counter[str] = Counter()
    for status in counts.values():
        total.update(status.counts)
    return {
        "ended": cause or "in order",
        "sent": dict(target.sent),
        "good_images_sent": len(CAMERAS) * target.probes,
        "unsendable": target.unsendable.total(),
        "unanswered_calls": target.unanswered_calls,
        **{name: total[name] for name in CameraStatus().counts},
        "balance": {} if cause else balance(target, counts),
        "states": dict(watch.states),
        "longest_answer_s": rounded(target.longest_answer_s),
        "longest_gap_s": rounded(watch.longest_gap_s),
        "use": target.use.results(),
    }


def _results(legs: dict[str, Leg], seed: int, seconds: float) -> Results:
    lives = [life for leg in legs.values() for life in leg.lives]
    names = (*CameraStatus().counts, "unanswered_calls", "unsendable", "good_images_sent")
    deaths = sum(len(leg.deaths) for leg in legs.values())
    balances: Counter[str] = Counter()
    for life in lives:
        balances.update(life["balance"])
    whole = balances["unsettled"] == balances["missing"] == 0
    return {
        "benchmark": "fuzz",
        "seed": seed,
        "seconds": rounded(seconds),
        "machine": machine_facts(),
        "sent": sum(leg.sent for leg in legs.values()),
        **{name: sum(life[name] for life in lives) for name in names},
        "balance": dict(balances),
        "longest_answer_s": max((life["longest_answer_s"] for life in lives), default=0.0),
        "longest_gap_s": max((life["longest_gap_s"] for life in lives), default=0.0),
        "deaths": deaths,
        "survived": deaths == 0 and whole,
        "legs": {
            name: {"bursts": leg.bursts, "deaths": leg.deaths, "lives": leg.lives}
            for name, leg in legs.items()
        },
    }


def _show(leg: Leg, sent: int, task: Task) -> None:
    if leg.bursts % 200 == 0:
        typer.echo(f"{sent} of {task.messages} sent, {len(leg.deaths)} deaths")


def _summary(results: Results) -> str:
    shown: dict[str, Any] = {
        name: results[name]
        for name in ("sent", "received", "answered", "dropped", "rejected", "failed", "lost")
    }
    counted = ", ".join(f"{value} {name}" for name, value in shown.items())
    return (
        f"seed {results['seed']}: {counted}; balance {results['balance']}; "
        f"{results['deaths']} deaths; longest answer {results['longest_answer_s']} s"
    )


if __name__ == "__main__":
    typer.run(main)
