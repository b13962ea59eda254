"""``polymorph energy``: what this machine's joules rest on."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from polymorph_ros.energy.fit import LoadPoint

energy_app = typer.Typer(no_args_is_help=True, help="Where joules come from on this machine.")

# A wall or battery meter read by hand.
_HAND_ERROR = 0.02


@energy_app.callback()
def _group() -> None:
    pass


@energy_app.command()
def calibrate(
    out: Annotated[Path, typer.Argument(help="The file to write: parameter energy.calibration.")],
    meter: Annotated[
        str, typer.Option(help="auto, jetson_rails, nvml, rapl, raspberry_pi, or by_hand.")
    ] = "auto",
    csv: Annotated[
        Path | None, typer.Option(help="Readings instead: busy_cores, watts, busy_gpu.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Of a sensor's readings.")] = 60.0,
    gpu: Annotated[bool, typer.Option(help="Load the GPU too; needs CUDA.")] = False,
) -> None:
    """Fit this machine's watts at idle, per busy core and of the GPU, for the estimate.

    With a sensor it takes a minute by itself. By hand it asks for the reading of a wall or battery
    meter three times: at rest, with half and with all cores busy.
    """
    from polymorph_ros.energy.fit import fit, read_points

    console = Console()
    if csv is not None:
        points, reference, error = read_points(csv), f"readings in {csv.name}", _HAND_ERROR
    elif meter == "by_hand":
        points, reference, error = _by_hand(gpu, console), "a meter read by hand", _HAND_ERROR
    else:
        points, reference, error = _by_sensor(meter, seconds, gpu, console)
    calibration = fit(points, reference, error)
    calibration.write(out)
    per_gpu = "" if calibration.gpu_watts is None else f", GPU {calibration.gpu_watts:.2f} W"
    console.print(
        f"idle {calibration.idle_watts:.2f} W, each busy core {calibration.cpu_watts:.2f} W"
        f"{per_gpu}; standard error {calibration.relative_error:.1%} of a predicted power\n"
        f"written to {out}: set energy.calibration to it, and energy.meter to estimated",
        highlight=False,
        soft_wrap=True,
    )


def _by_hand(gpu: bool, console: Console) -> list[LoadPoint]:
    """Ask for a reading at each load."""
    from polymorph_ros.energy.fit import LoadPoint
    from polymorph_ros.energy.load import SETTLE_S, busy, loads
    from polymorph_ros.energy.processes import busy_cpu_seconds

    points = []
    for cores, with_gpu in loads(os.cpu_count() or 1, gpu):
        words = f"{cores} busy core(s)" + (" and a busy GPU" if with_gpu else "")
        with busy(cores, with_gpu):
            console.print(f"{words}: wait until the meter is steady", highlight=False)
            time.sleep(SETTLE_S)
            start_s, cpu_s = time.monotonic(), busy_cpu_seconds()
            watts = typer.prompt("watts", type=float)
            elapsed_s = max(time.monotonic() - start_s, 1e-3)
            measured = (busy_cpu_seconds() - cpu_s) / elapsed_s
        # An answer at once leaves too few ticks of CPU time to count by.
        points.append(LoadPoint(measured if elapsed_s > 1.0 else cores, watts, float(with_gpu)))
    return points


def _by_sensor(
    kind: str, seconds: float, gpu: bool, console: Console
) -> tuple[list[LoadPoint], str, float]:
    """Measure the loads; readings, what they come from, and its scale's error."""
    from polymorph_ros.energy.load import loads, measure
    from polymorph_ros.energy.meter import open_meter
    from polymorph_ros.energy.reading import EnergySource
    from polymorph_ros.errors import PolymorphError

    meter = open_meter(kind, device="cuda" if gpu or kind == "nvml" else "cpu")
    try:
        if meter.source in (EnergySource.UNCALIBRATED, EnergySource.UNAVAILABLE):
            raise PolymorphError(
                "an energy sensor",
                meter.note or "none",
                where="energy calibrate",
                remedy="read a wall or battery meter: --meter by_hand, or give readings: --csv",
            )
        console.print(f"reads {meter.source.value} for {seconds:g} s: {meter.scope}")
        points = measure(meter, loads(os.cpu_count() or 1, gpu or kind == "nvml"), seconds)
        return points, f"{meter.source.value} ({meter.scope})", meter.error.gain
    finally:
        meter.close()
