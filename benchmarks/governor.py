"""Whether set-points of power are kept, and what that costs in accuracy: all levers, or one.

    build/venv/bin/python benchmarks/governor.py [BUNDLE] [--quick] [--json PATH]

The real engine, policy and governor are replayed on stored scores of held-out synthetic clips, on a
clock of their own: each part of a frame takes what it took on this machine when the scores were
stored, and power is 5 W at idle and 10 W more while something is computed. The stream has bursts of
twice the rate. With ``thermal`` the clock slows down to two thirds and recovers, twice. Joules are
therefore simulated; accuracy, covers and the governor are not.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from polymorph_ros.bundle.manifest import Manifest, OperatingPoint
from polymorph_ros.bundle.reader import default_bundle, read_bundle
from polymorph_ros.cli.main import run
from polymorph_ros.data.average_precision import mean_average_precision
from polymorph_ros.data.frame import Frame
from polymorph_ros.data.synthetic import SYNTHETIC_LABELS, make_sequence
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.meter import Meter
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.energy.uncertainty import ErrorModel, Sampling
from polymorph_ros.files import write_json
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.runtime.engine import Engine
from polymorph_ros.runtime.operating_points import Lever, only
from polymorph_ros.runtime.settings import EngineSettings
from polymorph_ros.training.frames import LabelledFrames
from polymorph_ros.training.score_replay import StoredModel, row_image, store_scores
from polymorph_ros.training.stages.operating_points import learn_points
from polymorph_ros.training.stages.reuse import thumbnails_of

HZ = 10.0  # in bursts; half of it between them
BURST_CLIPS = 3  # every third clip is one
IDLE_W, BUSY_W = 5.0, 10.0
REUSED_S = 0.0005
WINDOW_S, SETTLED_S, SHORT_S = 10.0, 3.0, 3.0
SET_POINTS = (0.25, 0.4, 0.55, 0.7, 0.85, 1.0)
LEVERS: tuple[Lever, ...] = ("all", "adapters_only", "rate_only")


@dataclass(frozen=True)
class Row:
    """One run.

    Attributes:
        set_point: mean watts above idle, as a share of the unlimited.
        kept_share: of windows of 10 s, those at most 5 % above the set-point.
        used: mean watts above idle, as a share of the set-point.
        settling_s: from the change to the first short window at most 5 % above the set-point.
        overshoot: of the highest short window after 3 s, above the set-point, as a share.
        said: whether the governor said that the set-point cannot be kept.
    """

    lever: str
    set_point: float
    thermal: bool
    kept_share: float
    used: float
    settling_s: float
    overshoot: float
    mean_ap: float
    said: bool


@dataclass(frozen=True)
class Recorded:
    """Clips, their stored scores and what parts of a frame took."""

    manifest: Manifest
    stored: StoredModel
    frames: LabelledFrames
    costs: dict[str, float]


class Bench:
    """A clock that computing moves on, and a meter over it."""

    source = EnergySource.RAPL
    scope = "synthetic"
    resolution_s = 0.0
    idle_watts = IDLE_W
    error = ErrorModel("synthetic")
    note = ""

    def __init__(self, costs: dict[str, float], thermal: bool) -> None:
        self.now = self.busy_s = 0.0
        self._costs, self._thermal = costs, thermal

    def spend(self, part: str, count: int) -> None:
        slow = 1.5 if self._thermal and int(self.now / 20.0) % 2 else 1.0
        seconds = self._costs[part] * count * slow
        self.now += seconds
        self.busy_s += seconds

    def wait_until(self, moment_s: float) -> None:
        self.now = max(self.now, moment_s)

    def clock(self) -> float:
        return self.now

    def read(self) -> float:
        return IDLE_W * self.now + BUSY_W * self.busy_s

    def sampling(self) -> Sampling:
        return Sampling()

    def close(self) -> None:
        pass


def main(
    bundle: Annotated[Path | None, typer.Argument(help="Its folder; else the default.")] = None,
    json: Annotated[Path | None, typer.Option(help="Rows go here.")] = None,
    quick: Annotated[bool, typer.Option(help="Fewer clips.")] = False,
    clips: Annotated[int, typer.Option(min=6, help="For the table, and again to run on.")] = 24,
    seed: Annotated[int, typer.Option(help="Of the synthetic scenes.")] = 11,
) -> None:
    """Run every lever at every set-point, with and without a clock that throttles."""
    opened = read_bundle(bundle or default_bundle())
    model = PolymorphModel.from_bundle(opened, "cpu")
    count = 9 if quick else clips
    learned = _recorded(model, opened.manifest, count, seed)
    points = learn_points(learned.stored, opened.manifest, learned.frames)
    tried = _recorded(model, opened.manifest, count, seed + 1)
    order = _stream(tried.frames)
    rows = []
    for thermal in (False, True):
        unlimited = _played(tried, order, points, None, thermal)
        watts = float(unlimited.above_j.sum() / unlimited.seconds)
        for lever in LEVERS:
            chosen = only(points, lever)
            for share in SET_POINTS:
                played = _played(tried, order, chosen, share * watts, thermal)
                rows.append(_row(lever, share, share * watts, thermal, played))
    Console().print(_table(rows))
    if json:
        write_json(json, [asdict(row) for row in rows])


def _recorded(model: PolymorphModel, manifest: Manifest, clips: int, seed: int) -> Recorded:
    frames = _frames(model.labels, clips, seed)
    costs = _costs(model)
    thumbnails = thumbnails_of(frames, manifest.preprocessing)
    stored = StoredModel(model, store_scores(model, frames), thumbnails)
    return Recorded(manifest, stored, frames, costs)


def _frames(labels: Sequence[str], clips: int, seed: int) -> LabelledFrames:
    """Held-out synthetic clips of 6 s."""
    columns = [
        (SYNTHETIC_LABELS.index(name), place)
        for place, name in enumerate(labels)
        if name in SYNTHETIC_LABELS
    ]
    images, truth, stamps, sequence = [], [], [], []
    for index in range(clips):
        clip = make_sequence(seed, index=index, split="test", frames=int(6 * HZ), hz=HZ)
        for frame in clip.frames():
            row = np.full(len(labels), -1, np.int8)
            for theirs, ours in columns:
                row[ours] = frame.truth[theirs]
            images.append(frame.image)
            truth.append(row)
            stamps.append(frame.stamp_s)
            sequence.append(index)
    return LabelledFrames(
        np.stack(images), np.stack(truth), np.array(sequence, np.int32), np.array(stamps)
    )


def _costs(model: PolymorphModel) -> dict[str, float]:
    """Median seconds of what is fixed, and of an adapter, on this machine."""
    tokens = model.run_trunk_once()

    def median(work: object) -> float:
        taken = []
        for _ in range(15):
            start = time.perf_counter()
            work()  # type: ignore[operator]
            taken.append(time.perf_counter() - start)
        return float(np.median(taken))

    fixed = median(lambda: model.scout(model.run_trunk_once()))
    one, four = (median(lambda n=n: model.tails(tokens, range(n))) for n in (1, 4))
    return {"fixed": fixed, "adapters": max((four - one) / 3.0, 0.2 * one)}


def _stream(frames: LabelledFrames) -> list[tuple[int, float]]:
    """(Row, arrival in seconds): clip after clip, every other frame outside of bursts; twice."""
    found: list[tuple[int, float]] = []
    begun_s = 0.0
    for number, part in enumerate([*frames.slices(), *frames.slices()]):
        step = 1 if number % BURST_CLIPS == BURST_CLIPS - 1 else 2
        for place, row in enumerate(range(part.start, part.stop)):
            if place % step == 0:
                found.append((row, begun_s + place / HZ))
        begun_s += (part.stop - part.start) / HZ
    return found


@dataclass(frozen=True)
class Played:
    """A run: end of each frame, joules above idle of each, and what was believed."""

    ends_s: NDArray[np.float64]
    above_j: NDArray[np.float64]
    scores: NDArray[np.float32]
    truth: NDArray[np.int8]
    said: bool

    @property
    def seconds(self) -> float:
        return float(self.ends_s[-1])


def _played(
    recorded: Recorded,
    order: Sequence[tuple[int, float]],
    points: Sequence[OperatingPoint],
    watts: float | None,
    thermal: bool,
) -> Played:
    """Label the stream; `watts` above idle hold from its start."""
    bench = Bench(recorded.costs, thermal)
    stored = recorded.stored.spending(bench.spend)
    settings = EngineSettings(
        budget_watts=0.0 if watts is None else IDLE_W + watts,
        reuse_s=1.0,
        detect_unknown_scenes=False,
    )
    engine = Engine(
        cast(PolymorphModel, stored),
        recorded.manifest,
        EnergyLedger(cast(Meter, bench), bench.clock),
        settings,
        points=points,
        clock=bench.clock,
    )
    ends, above, scores, said = [], [], [], 0
    for row, arrival_s in order:
        bench.wait_until(arrival_s)
        before = bench.busy_s
        # a clip that begins is another place: its labels have nothing to do with the last one's
        result = engine.step(Frame(row_image(row), round(arrival_s * 1e9)))
        bench.busy_s += REUSED_S
        ends.append(bench.now)
        above.append(BUSY_W * (bench.busy_s - before))
        scores.append(result.score_array)
        said += "cannot be kept" in result.reason
    truth = recorded.frames.truth[[row for row, _ in order]]
    return Played(np.array(ends), np.array(above), np.stack(scores), truth, said > 0)


def _windows(played: Played, length_s: float, since_s: float) -> Iterator[tuple[float, float]]:
    """(End, mean watts above idle) of windows, a second apart."""
    for end in np.arange(since_s + length_s, played.seconds, 1.0):
        inside = (played.ends_s > end - length_s) & (played.ends_s <= end)
        yield end, float(played.above_j[inside].sum() / length_s)


def _row(lever: str, share: float, watts: float, thermal: bool, played: Played) -> Row:
    long = np.array([mean for _, mean in _windows(played, WINDOW_S, SETTLED_S)])
    short = list(_windows(played, SHORT_S, 0.0))
    settled = next((end for end, mean in short if mean <= 1.05 * watts), float("nan"))
    late = [mean for end, mean in short if end >= SETTLED_S + SHORT_S]
    return Row(
        lever,
        share,
        thermal,
        kept_share=float((long <= 1.05 * watts).mean()),
        used=float(played.above_j.sum() / played.seconds / watts),
        settling_s=float(settled) - SHORT_S,
        overshoot=max(late) / watts - 1.0,
        mean_ap=mean_average_precision(played.scores, played.truth),
        said=played.said,
    )


def _table(rows: Sequence[Row]) -> Table:
    table = Table(
        "lever", "set-point", "thermal", "kept", "used", "settles s", "overshoot", "AP", "said"
    )
    for row in rows:
        table.add_row(
            row.lever, f"{row.set_point:.0%}", str(row.thermal), f"{row.kept_share:.0%}",
            f"{row.used:.2f}", f"{row.settling_s:.1f}", f"{row.overshoot:+.0%}",
            f"{row.mean_ap:.4f}", str(row.said),
        )  # fmt: skip
    return table


if __name__ == "__main__":
    run(main)
