"""What one method said about every frame of one sequence, and what it cost; as Parquet.

One file per method and sequence, ``frames/method=NAME/SEQUENCE.parquet``: readers of partitioned
Parquet (pandas, DuckDB, Polars) take the folder ``frames`` as one table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from polymorph_ros.evaluation.methods.method import Labelled
from polymorph_ros.files import replacing

_TYPES: Mapping[str, type[np.generic]] = {
    "frames": np.int32,
    "stamps_ns": np.int64,
    "scores": np.float32,
    "truth": np.int8,
    "active": np.bool_,
    "changed": np.bool_,
    "seconds": np.float64,
    "joules": np.float64,
    "cpu_seconds": np.float64,
    "gpu_seconds": np.float64,
}
"""The arrays of a ``FrameLog``."""
_MATRICES = ("scores", "truth", "active")
_SINGULAR = {"frames": "frame", "stamps_ns": "stamp_ns", "changed": "adapters_changed"}
_COLUMNS = {name: _SINGULAR.get(name, name) for name in _TYPES}


@dataclass(frozen=True)
class Cost:
    """What one frame cost: wall seconds, joules (NaN when unavailable), CPU and GPU seconds."""

    seconds: float
    joules: float
    cpu_seconds: float
    gpu_seconds: float


@dataclass(frozen=True)
class FrameLog:
    """One method on one sequence, a row for each frame.

    Attributes:
        frames: int32 (frames,), each row's place in its sequence; a picture that could not be read
            has no row.
        stamps_ns: int64 (frames,).
        scores: float32 (frames, labels).
        truth: int8 (frames, labels): 1 present, 0 absent, -1 unknown.
        active: bool (frames, labels).
        adapters: names of those that ran, for each frame.
        changed: bool (frames,), whether they differ from the frame before.
        stage_seconds: for each frame.
        seconds, joules, cpu_seconds, gpu_seconds: float64 (frames,).
    """

    sequence: str
    labels: tuple[str, ...]
    frames: NDArray[np.int32]
    stamps_ns: NDArray[np.int64]
    scores: NDArray[np.float32]
    truth: NDArray[np.int8]
    active: NDArray[np.bool_]
    adapters: tuple[tuple[str, ...], ...]
    changed: NDArray[np.bool_]
    stage_seconds: tuple[Mapping[str, float], ...]
    seconds: NDArray[np.float64]
    joules: NDArray[np.float64]
    cpu_seconds: NDArray[np.float64]
    gpu_seconds: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.stamps_ns)

    @property
    def stamps_s(self) -> NDArray[np.float64]:
        """Seconds since the sequence's first frame."""
        elapsed_ns = (self.stamps_ns - self.stamps_ns[:1]).astype(np.float64)
        return elapsed_ns * 1e-9


@dataclass
class FrameLogBuilder:
    """Takes frames one after the other."""

    sequence: str
    labels: tuple[str, ...]
    _rows: list[tuple[int, int, NDArray[np.int8], Labelled, Cost]] = field(default_factory=list)

    def add(
        self, frame: int, stamp_ns: int, truth: NDArray[np.int8], said: Labelled, cost: Cost
    ) -> None:
        """Add a frame; ``frame`` is its place in the sequence, ascending."""
        self._rows.append((frame, stamp_ns, truth, said, cost))

    def build(self) -> FrameLog:
        """The log of the frames so far."""
        said = [row[3] for row in self._rows]
        columns: dict[str, list[Any]] = {
            "frames": [row[0] for row in self._rows],
            "stamps_ns": [row[1] for row in self._rows],
            "truth": [row[2] for row in self._rows],
            "scores": [one.scores for one in said],
            "active": [one.active for one in said],
            "changed": [one.adapters_changed for one in said],
        }
        for name in ("seconds", "joules", "cpu_seconds", "gpu_seconds"):
            columns[name] = [getattr(row[4], name) for row in self._rows]
        shape = (len(self._rows), len(self.labels))
        return FrameLog(
            sequence=self.sequence,
            labels=self.labels,
            adapters=tuple(one.adapters for one in said),
            stage_seconds=tuple(one.stage_seconds for one in said),
            **{
                name: np.array(values, _TYPES[name]).reshape(shape if name in _MATRICES else -1)
                for name, values in columns.items()
            },
        )


def write_frame_log(log: FrameLog, file: Path) -> None:
    """Write it whole or not at all."""
    columns = {"sequence": pa.array([log.sequence] * len(log), pa.string())}
    for name, column in _COLUMNS.items():
        values = pa.array(getattr(log, name).reshape(-1))
        if name in _MATRICES:
            values = pa.FixedSizeListArray.from_arrays(values, len(log.labels))
        columns[column] = values
    columns["adapters"] = pa.array(map(list, log.adapters), pa.list_(pa.string()))
    stages = [list(one.items()) for one in log.stage_seconds]
    columns["stage_seconds"] = pa.array(stages, pa.map_(pa.string(), pa.float64()))
    notes = {"labels": json.dumps(log.labels), "sequence": log.sequence}
    with replacing(file) as unfinished:
        table = pa.table(columns).replace_schema_metadata(notes)
        pq.write_table(table, unfinished, compression="zstd")


def read_frame_log(file: Path) -> FrameLog:
    """Read what ``write_frame_log`` wrote."""
    table = pq.read_table(file, partitioning=None)
    notes = table.schema.metadata
    labels = tuple(json.loads(notes[b"labels"]))

    def array(name: str) -> NDArray:
        column = table.column(_COLUMNS[name]).combine_chunks()
        if name in _MATRICES:
            flat = column.flatten().to_numpy(zero_copy_only=False)
            return flat.reshape(len(table), len(labels)).astype(_TYPES[name], copy=False)
        return column.to_numpy(zero_copy_only=False).astype(_TYPES[name], copy=False)

    return FrameLog(
        sequence=notes[b"sequence"].decode(),
        labels=labels,
        adapters=tuple(tuple(one) for one in table.column("adapters").to_pylist()),
        stage_seconds=tuple(dict(one) for one in table.column("stage_seconds").to_pylist()),
        **{name: array(name) for name in _COLUMNS},
    )


def stack(logs: Sequence[FrameLog], name: str) -> NDArray:
    """One column of several logs, sequence after sequence."""
    return np.concatenate([getattr(log, name) for log in logs])
