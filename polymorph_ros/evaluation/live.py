"""Live evaluation: the real node over DDS, then the engine on the frames that it answered.

The program of ``interfaces.live_run`` plays each recording to a node. Here the answers get their
truth, and the engine labels the pictures that were answered, at the stamps that they had: both
must give the same scores.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.bag_recordings import BagTopic, find_bags
from polymorph_ros.data.dataset import Fault, Pictures
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.frame_log import FrameLog, read_frame_log
from polymorph_ros.evaluation.join import JoinedData, JoinedSequence
from polymorph_ros.evaluation.metrics.latency import latency
from polymorph_ros.evaluation.run_folder import RunFolder
from polymorph_ros.interfaces.live_run import (
    ANSWERS_FILE,
    SUMMARY_FILE,
    LiveSummary,
    live_command,
)

LIVE = "polymorph_live"
TOLERANCE = 1e-5  # between the node's scores and the engine's
_STAMP_NS = 1_000  # stamps in float64 seconds lie some hundred nanoseconds off


@dataclass(frozen=True)
class LiveRun:
    """One recording, played.

    Attributes:
        answers: the node's, with truth.
        sequence: the pictures that were answered, at the stamps that they had.
        summary: counts and latencies.
    """

    answers: FrameLog
    sequence: JoinedSequence
    summary: LiveSummary


@dataclass(frozen=True)
class _Some:
    """Some of the pictures of a sequence."""

    pictures: Pictures
    frames: tuple[int, ...]

    def read(self) -> Iterator[NDArray[np.uint8] | Fault]:
        wanted = set(self.frames)
        for index, picture in enumerate(self.pictures.read()):
            if index in wanted:
                yield picture


def play_all(
    data: JoinedData,
    place: Path,
    *,
    topic: str | None,
    rate: float,
    bundle: Path,
    folder: RunFolder,
) -> list[LiveRun]:
    """Play every recording to a node of its own, except those that an earlier run played.

    Args:
        place: a recording or a folder of them, the one that ``data`` was read from.
        rate: images per second; 0 for each recording's own pace.

    Raises:
        PolymorphError: there is no ROS here, the data are no recordings, or a run failed.
    """
    if find_spec("rclpy") is None:
        raise PolymorphError(
            "ROS 2 (rclpy) for live mode", "none", remedy="source ROS 2, or use --mode offline"
        )
    bags, _ = find_bags(place, topic)
    if not bags:
        raise PolymorphError(
            "rosbag2 recordings for live mode", "none", where=str(place),
            remedy="record the video, or use --mode offline",
        )  # fmt: skip
    by_name = {sequence.name: sequence for sequence in data.sequences}
    runs = []
    for number, bag in enumerate(bags):
        sequence = by_name.get(bag.name)
        if sequence is None:
            continue
        out = folder.live(number, bag.name)
        if not (out / SUMMARY_FILE).is_file():
            _play(bag, rate, bundle, out)
        runs.append(_read(out, sequence))
    if not runs:
        raise PolymorphError("a recording with truth", "none", where=str(place))
    return runs


def live_data(data: JoinedData, runs: Sequence[LiveRun]) -> JoinedData:
    """The pictures that were answered, as data for the offline replay."""
    return replace(data, sequences=tuple(run.sequence for run in runs))


def live_summary(runs: Sequence[LiveRun], offline: Sequence[FrameLog]) -> dict[str, Any]:
    """Counts, latency, jitter, the planner's delay, and how far node and engine differ.

    ``jitter_s`` is the standard deviation of the latency.
    """
    counts = {
        name: sum(getattr(run.summary, name) for run in runs)
        for name in ("published", "received", "answered", "dropped", "lost", "rejected", "failed")
    }
    seconds = [value for run in runs for value in run.summary.latency_s]
    delays = [value for run in runs for value in run.summary.planner_delay_s]
    difference = max(
        float(np.abs(run.answers.scores - log.scores).max())
        for run, log in zip(runs, offline, strict=True)
    )
    return {
        **counts,
        "rate_hz": runs[0].summary.rate_hz,
        "latency": asdict(latency(seconds)),
        "jitter_s": float(np.std(seconds)),
        "planner_commands": len(delays),
        "planner_delay": asdict(latency(delays)) if delays else None,
        "largest_difference": difference,
        "tolerance": TOLERANCE,
        "node_equals_engine": difference <= TOLERANCE,
        "faults": [fault for run in runs for fault in run.summary.faults],
    }


def _play(bag: BagTopic, rate: float, bundle: Path, out: Path) -> None:
    command = live_command(bag.path, topic=bag.topic, rate_hz=rate, bundle=bundle, out=out)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            _, errors = process.communicate()
        except KeyboardInterrupt:
            process.wait()
            raise
    if process.returncode != 0:
        last = (errors.strip() or f"exit code {process.returncode}").splitlines()[-1]
        where, remedy = str(bag.path), f"see the logs in {out}"
        raise PolymorphError("a live run", last, where=where, remedy=remedy)


def _read(out: Path, sequence: JoinedSequence) -> LiveRun:
    """A run's answers with their truth: those whose image has the stamp of a labelled frame."""
    summary = LiveSummary.read(out)
    answers = read_frame_log(out / ANSWERS_FILE)
    recorded = np.array(summary.recorded_ns, np.int64)[answers.frames]
    place = np.clip(np.searchsorted(sequence.stamps_ns, recorded - _STAMP_NS), 0, len(sequence) - 1)
    known = np.abs(sequence.stamps_ns[place] - recorded) <= _STAMP_NS
    answers = _rows(answers, known)
    place = place[known]
    truth = sequence.truth[place]
    frames = tuple(place.tolist())
    some = replace(
        sequence,
        stamps_ns=answers.stamps_ns,
        truth=truth,
        pictures=_Some(sequence.pictures, frames),
    )
    return LiveRun(replace(answers, truth=truth, sequence=sequence.name), some, summary)


def _rows(log: FrameLog, wanted: NDArray[np.bool_]) -> FrameLog:
    """Some rows of a log."""
    picked = np.flatnonzero(wanted).tolist()
    arrays = (
        "frames", "stamps_ns", "scores", "truth", "active", "changed", "seconds", "joules",
        "cpu_seconds", "gpu_seconds",
    )  # fmt: skip
    return replace(
        log,
        adapters=tuple(log.adapters[row] for row in picked),
        stage_seconds=tuple(log.stage_seconds[row] for row in picked),
        **{name: getattr(log, name)[wanted] for name in arrays},
    )
