"""Fit a calibration: watts at idle, per busy core and of the busy GPU, by least squares."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polymorph_ros.energy.calibration import Calibration, fingerprint
from polymorph_ros.errors import PolymorphError

# As many values as are fitted leave no residual: the error is then this, by assumption.
ASSUMED_ERROR = 0.1

_NEEDED = ("busy_cores", "watts")


@dataclass(frozen=True)
class LoadPoint:
    """Mean power at a load.

    Attributes:
        busy_cores: CPU cores that were busy, of all processes.
        watts: as the reference showed them.
        busy_gpu: share of the time in which the GPU was busy, from 0 to 1.
    """

    busy_cores: float
    watts: float
    busy_gpu: float = 0.0

    def __post_init__(self) -> None:
        for name in ("busy_cores", "watts", "busy_gpu"):
            value = getattr(self, name)
            if not 0.0 <= value < float("inf"):
                raise PolymorphError("a value of at least 0", f"{value}", where=name)


def fit(points: Sequence[LoadPoint], reference: str, reference_error: float) -> Calibration:
    """The calibration of this machine that fits best.

    Args:
        points: at least two loads that differ.
        reference: what they were measured with, in plain words.
        reference_error: standard error of the reference's scale, as a share.

    Raises:
        PolymorphError: too few loads, or the fit is negative or absurd.
    """
    cores = np.array([point.busy_cores for point in points])
    gpu = np.array([point.busy_gpu for point in points])
    watts = np.array([point.watts for point in points])
    columns = [np.ones(len(points))]
    moved = [values for values in (cores, gpu) if len(points) and np.ptp(values) > 0.05]
    matrix = np.stack([*columns, *moved], axis=1)
    if not moved or np.linalg.matrix_rank(matrix) < matrix.shape[1]:
        raise PolymorphError(
            "readings at loads that differ: at idle and with busy cores",
            f"{len(points)} reading(s) that do not tell the loads apart",
            where="calibration",
        )
    solution = np.linalg.lstsq(matrix, watts, rcond=None)[0]
    values = [round(value, 6) for value in solution.tolist()]
    fitted = dict(zip(_names(cores, gpu), values, strict=True))
    residual = _residual(watts - matrix @ solution, matrix.shape[1], float(watts.mean()))
    for name, value in fitted.items():
        if value < 0:
            raise PolymorphError(
                "watts that rise with the load from a positive idle power",
                f"a fit of {value:.3g} W",
                where=f"calibration: {name}",
                remedy="read again once each load is steady; close other programs",
            )
    return Calibration(
        idle_watts=fitted["idle_watts"],
        cpu_watts=fitted.get("cpu_watts", 0.0),
        gpu_watts=fitted.get("gpu_watts"),
        relative_error=float(np.hypot(residual, reference_error)),
        reference=reference,
        machine=fingerprint(),
    )


def _names(cores: np.ndarray, gpu: np.ndarray) -> list[str]:
    moved = (("cpu_watts", cores), ("gpu_watts", gpu))
    return ["idle_watts", *(name for name, values in moved if np.ptp(values) > 0.05)]


def _residual(residuals: np.ndarray, fitted: int, mean_watts: float) -> float:
    """Standard error of a power that is predicted, as a share of the mean."""
    free = len(residuals) - fitted
    if free <= 0 or mean_watts <= 0:
        return ASSUMED_ERROR
    return float(np.sqrt((residuals**2).sum() / free) / mean_watts)


def read_points(path: Path) -> list[LoadPoint]:
    """Load points from a CSV with the columns busy_cores, watts and, if wanted, busy_gpu.

    Raises:
        PolymorphError: it cannot be read, or a value is no number.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PolymorphError("a readable CSV", str(error), where=str(path)) from None
    columns = tuple(rows[0]) if rows else ()
    if not rows or any(name not in columns for name in _NEEDED):
        raise PolymorphError(
            f"columns {', '.join(_NEEDED)} and rows",
            ", ".join(map(str, columns)) or "nothing",
            where=str(path),
        )
    return [_point(row, f"{path}, line {number}") for number, row in enumerate(rows, start=2)]


def _point(row: dict[str, str], where: str) -> LoadPoint:
    try:
        values = [float(row.get(name) or 0.0) for name in (*_NEEDED, "busy_gpu")]
    except (TypeError, ValueError) as error:
        raise PolymorphError("numbers", str(error), where=where) from None
    return LoadPoint(*values)
