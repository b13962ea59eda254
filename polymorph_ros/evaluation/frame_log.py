"""What one method said about every frame of one sequence, and what it cost; as Parquet.

One file per method and sequence, ``frames/method=NAME/SEQUENCE.parquet``: readers of partitioned
Parquet (pandas, DuckDB, Polars) take the folder ``frames`` as one table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from polymorph_ros.evaluation.methods.method import Labelled
from polymorph_ros.files import replacing


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
        frames = [row[0] for row in self._rows]
        stamps = [row[1] for row in self._rows]
        truths = [row[2] for row in self._rows]
        said = [row[3] for row in self._rows]
        costs = [row[4] for row in self._rows]
        shape = (len(stamps), len(self.labels))
        return FrameLog(
            sequence=self.sequence,
            labels=self.labels,
            frames=np.array(frames, np.int32),
            stamps_ns=np.array(stamps, np.int64),
            scores=np.array([one.scores for one in said], np.float32).reshape(shape),
            truth=np.array(truths, np.int8).reshape(shape),
            active=np.array([one.active for one in said], np.bool_).reshape(shape),
            adapters=tuple(one.adapters for one in said),
            changed=np.array([one.adapters_changed for one in said], np.bool_),
            stage_seconds=tuple(one.stage_seconds for one in said),
            seconds=np.array([cost.seconds for cost in costs], np.float64),
            joules=np.array([cost.joules for cost in costs], np.float64),
            cpu_seconds=np.array([cost.cpu_seconds for cost in costs], np.float64),
            gpu_seconds=np.array([cost.gpu_seconds for cost in costs], np.float64),
        )


def write_frame_log(log: FrameLog, file: Path) -> None:
    """Write it whole or not at all."""
    count = len(log.labels)
    table = pa.table(
        {
            "sequence": pa.array([log.sequence] * len(log), pa.string()),
            "frame": pa.array(log.frames),
            "stamp_ns": pa.array(log.stamps_ns),
            "scores": _rows(log.scores, pa.float32(), count),
            "truth": _rows(log.truth, pa.int8(), count),
            "active": _rows(log.active, pa.bool_(), count),
            "adapters": pa.array([list(one) for one in log.adapters], pa.list_(pa.string())),
            "adapters_changed": pa.array(log.changed),
            "stage_seconds": pa.array(
                [list(stages.items()) for stages in log.stage_seconds],
                pa.map_(pa.string(), pa.float64()),
            ),
            "seconds": pa.array(log.seconds),
            "joules": pa.array(log.joules),
            "cpu_seconds": pa.array(log.cpu_seconds),
            "gpu_seconds": pa.array(log.gpu_seconds),
        }
    ).replace_schema_metadata({"labels": json.dumps(log.labels), "sequence": log.sequence})
    with replacing(file) as unfinished:
        pq.write_table(table, unfinished, compression="zstd")


def read_frame_log(file: Path) -> FrameLog:
    """Read what ``write_frame_log`` wrote."""
    table = pq.read_table(file, partitioning=None)
    notes = table.schema.metadata
    labels = tuple(json.loads(notes[b"labels"]))
    shape = (len(table), len(labels))

    def matrix(name: str) -> NDArray:
        flat = table.column(name).combine_chunks().flatten()
        return flat.to_numpy(zero_copy_only=False).reshape(shape)

    def column(name: str) -> NDArray:
        return table.column(name).to_numpy()

    return FrameLog(
        sequence=notes[b"sequence"].decode(),
        labels=labels,
        frames=column("frame"),
        stamps_ns=column("stamp_ns"),
        scores=matrix("scores"),
        truth=matrix("truth"),
        active=matrix("active").astype(np.bool_),
        adapters=tuple(tuple(one) for one in table.column("adapters").to_pylist()),
        changed=column("adapters_changed").astype(np.bool_),
        stage_seconds=tuple(dict(one) for one in table.column("stage_seconds").to_pylist()),
        seconds=column("seconds"),
        joules=column("joules"),
        cpu_seconds=column("cpu_seconds"),
        gpu_seconds=column("gpu_seconds"),
    )


def _rows(matrix: NDArray, kind: pa.DataType, width: int) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1), kind), width)


def stack(logs: Sequence[FrameLog], name: str) -> NDArray:
    """One column of several logs, sequence after sequence."""
    return np.concatenate([getattr(log, name) for log in logs])
