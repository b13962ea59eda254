"""``polymorph doctor``: what is wrong on this robot, and what to do about it."""

from __future__ import annotations

import json as json_text
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from polymorph_ros.cli.doctor_checks import environment
from polymorph_ros.cli.doctor_checks.finding import Finding, Level, error
from polymorph_ros.cli.doctor_checks.graph import graph_findings
from polymorph_ros.cli.doctor_checks.privacy import Scrubber
from polymorph_ros.cli.doctor_checks.product import bundle_finding, device_finding, meter_finding
from polymorph_ros.cli.doctor_checks.time_sync import clock_finding
from polymorph_ros.cli.doctor_checks.versions import version_findings

FORMAT = 1
"""Of the JSON report."""
_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.ERROR: "red"}

_Topic = Annotated[
    list[str] | None,
    typer.Option("--topic", help="Image topic to listen to; else those of the node, else all."),
]
_Seconds = Annotated[float, typer.Option(min=0.5, max=600, help="How long to listen.")]
_Bundle = Annotated[Path | None, typer.Option(help="The bundle; else the package's default.")]
_Json = Annotated[
    bool, typer.Option("--json", help="Print a report for bug reports, without names and paths.")
]


def doctor(
    topic: _Topic = None,
    seconds: _Seconds = 5.0,
    bundle: _Bundle = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    energy: Annotated[str, typer.Option(help="The meter: auto or its name.")] = "auto",
    json: _Json = False,
) -> None:
    """Check ROS, camera topics, bundle, device, meter, clock and packages of this machine.

    Exit code: 0 if nothing is an error, else 1.
    """
    findings: list[Finding] = []
    console = Console()
    for finding in _findings(topic or [], seconds, bundle, device, energy):
        findings.append(finding)
        if not json:
            _print(console, finding)
    if json:
        typer.echo(json_text.dumps(report_document(findings), indent=1, ensure_ascii=False))
    else:
        _print_to_do(console, findings)
    if any(finding.level is Level.ERROR for finding in findings):
        raise typer.Exit(1)


def report_document(findings: Sequence[Finding]) -> dict[str, object]:
    """The findings as a JSON document without names of user and host, homes and addresses."""
    document = {
        "polymorph_doctor": FORMAT,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "findings": [
            {
                "subject": finding.subject,
                "level": finding.level.value,
                "found": finding.found,
                "remedy": finding.remedy,
                "facts": finding.facts,
            }
            for finding in findings
        ],
        "to_do": _to_do(findings),
    }
    scrubbed: dict[str, object] = Scrubber.of_this_machine().everywhere(document)
    return scrubbed


def _findings(
    topics: Sequence[str], seconds: float, bundle: Path | None, device: str, energy: str
) -> Iterator[Finding]:
    for subject, check in environment.CHECKS.items():
        yield from _guarded(subject, lambda check=check: [check()])  # type: ignore[misc]
    if environment.has_ros():
        yield from _guarded("ROS graph", lambda: graph_findings(topics, seconds))
    elif topics:
        yield error("cameras", "no ROS here, so no topic can be listened to", "source ROS first")
    yield from _guarded("bundle", lambda: [bundle_finding(bundle)])
    place = "cpu"
    for finding in _guarded("device", lambda: [device_finding(device)]):
        yield finding
        place = str(finding.facts.get("device", place))
    yield from _guarded("energy", lambda: [meter_finding(energy, place)])
    yield from _guarded("clock", lambda: [clock_finding()])
    yield from _guarded("packages", version_findings)


def _guarded(subject: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """A check that fails itself is a finding, too: the others still run."""
    try:
        yield from check()
    except Exception as fault:
        found = f"the check failed: {type(fault).__name__}: {fault}"
        yield error(subject, found, "please report this with the output of --json")


def _print(console: Console, finding: Finding) -> None:
    colour = _COLOURS[finding.level]
    console.print(
        f"[{colour}]{finding.level.value:5}[/{colour}] [bold]{escape(finding.subject)}[/bold]: "
        f"{escape(finding.found)}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def _to_do(findings: Sequence[Finding]) -> list[str]:
    """What to do, errors first."""
    wanting = [finding for finding in findings if finding.level is not Level.OK]
    wanting.sort(key=lambda finding: finding.level is Level.WARN)
    return [f"{finding.subject}: {finding.remedy}" for finding in wanting]


def _print_to_do(console: Console, findings: Sequence[Finding]) -> None:
    steps = _to_do(findings)
    console.print("\nWhat to do:" if steps else "\nNothing to do.", highlight=False)
    for number, step in enumerate(steps, 1):
        console.print(f"  {number}. {escape(step)}", highlight=False, soft_wrap=True)
