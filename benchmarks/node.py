"""Benchmark of the node as a robot runs it: its own process, real images through DDS.

    build/venv/bin/python benchmarks/node.py [--bundle PATH] [--quick]

What is measured, and what the metrics mean: docs/benchmarks.md. The result is a JSON file.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Annotated

import rclpy
import typer

from parts.continuity import measure_continuity
from parts.cpu import measure_cpu
from parts.latency import measure_latency
from parts.machine import bundle_facts, machine_facts, machine_name
from parts.memory import measure_memory
from parts.metrics import Results
from parts.stage import Stage, open_stage
from parts.start_up import measure_start_up
from polymorph_ros.bundle.reader import default_bundle, read_bundle
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import write_json

_RESULTS = Path(__file__).resolve().parent / "results"


def main(
    bundle: Annotated[Path | None, typer.Option(help="A bundle instead of the default.")] = None,
    seconds: Annotated[float, typer.Option(help="Images to the node, for each way.")] = 60.0,
    rate: Annotated[float, typer.Option(help="Images per second.")] = 30.0,
    frames: Annotated[int, typer.Option(min=200, help="Frames of the memory test.")] = 10_000,
    json: Annotated[Path | None, typer.Option(help="Where the metrics go.")] = None,
    quick: Annotated[bool, typer.Option(help="A trial in a minute; not to be quoted.")] = False,
) -> None:
    """Measure latency, CPU share, memory and start-up of the node."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # its processes end with it
    path = json or _RESULTS / f"node-{machine_name()}{'-quick' if quick else ''}.json"
    block_s, repetitions = 10.0, 5
    if quick:
        seconds, frames, block_s, repetitions = 6.0, 300, 3.0, 1
    try:
        metrics: Results = {
            "benchmark": "node",
            "quick": quick,
            "machine": machine_facts() | {"rmw": rclpy.get_rmw_implementation_identifier()},
            "bundle": bundle_facts(read_bundle(bundle or default_bundle())),
        }
        with open_stage(bundle) as stage:
            metrics |= _measure(stage, rate, seconds, block_s, frames, repetitions)
    except PolymorphError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(130) from None
    metrics["machine"]["load_after"] = round(os.getloadavg()[0], 2)
    write_json(path, metrics)
    _print(metrics)
    typer.echo(f"metrics: {os.path.relpath(path)}")


def _measure(
    stage: Stage, rate: float, seconds: float, block_s: float, frames: int, repetitions: int
) -> Results:
    typer.echo("start-up")
    start_up = measure_start_up(stage, rate, repetitions)
    typer.echo("latency")
    latency = measure_latency(stage, rate, seconds, block_s)
    typer.echo("CPU time")
    cpu = measure_cpu(stage, latency.pop("node_cpu"), rate, seconds, block_s)
    typer.echo("memory")
    memory = measure_memory(stage, frames)
    typer.echo("continuity")
    continuity = measure_continuity(stage, rate, 4 * repetitions)
    return {
        "latency": latency,
        "cpu": cpu,
        "memory": memory,
        "start_up": start_up,
        "continuity": continuity,
    }


def _print(metrics: Results) -> None:
    latency, cpu, memory = metrics["latency"], metrics["cpu"], metrics["memory"]
    for way in ("alternating", "together"):
        for name in ("total_ms", "engine_ms", "transport_ms", "overhead_ms"):
            values = latency[way][name]
            typer.echo(
                f"{way:12} {name:13} p50 {values['p50']:8.3f}"
                f"  p95 {values['p95']:8.3f}  p99 {values['p99']:8.3f}"
            )
    typer.echo(
        f"CPU besides inference: {cpu['besides_inference_ms_per_frame']} ms per frame, "
        f"{cpu['besides_inference_share_of_one_core']:.1%} of one core"
    )
    going_on = metrics["continuity"]
    typer.echo(
        f"while a bundle loads: {going_on['loads_within_two_frames']} of {going_on['repetitions']} "
        f"without a gap above two frames; NO_DATA late by {going_on['no_data_late_ms']}"
    )
    typer.echo(
        f"memory after {memory['frames']} frames: {memory['growth_mib']:+} MiB; "
        f"first answer after {metrics['start_up']['first_answer_s']} s"
    )


if __name__ == "__main__":
    typer.run(main)
