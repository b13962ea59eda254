"""Whether set-points of power are kept, and what that costs in accuracy: all levers, or one.

    build/venv/bin/python benchmarks/governor.py [BUNDLE] [--quick] [--json PATH]

The real engine, policy and governor are replayed on stored scores of held-out synthetic clips, on a
clock of their own. Each part of a frame takes the CPU seconds that it took on this machine, on one
thread, when the scores were stored; power is 5 W at idle and 10 W more while something is computed.
So joules are simulated and do not depend on how busy the machine is; accuracy, covers and the
governor are real. What the levers cost in accuracy is the bundle's own table.

- ``bursts``: every third clip comes at twice the rate.
- ``thermal``: the same, and every other 20 s all work takes 1.5 times as long.
- ``changes``: one picture again and again, computed each time, and a set-point that changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table as Printed

from parts.machine import machine_facts
from polymorph_ros.bundle.manifest import Manifest
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
from polymorph_ros.runtime.operating_points import Lever, Table, only, table_of
from polymorph_ros.runtime.settings import EngineSettings
from polymorph_ros.training.frames import LabelledFrames
from polymorph_ros.training.score_replay import StoredModel, View, row_image, store_views
from polymorph_ros.training.stages.reuse import thumbnails_of

HZ = 10.0  # in bursts; half of it between them
BURST_CLIPS = 3  # every third clip is one
IDLE_W, BUSY_W = 5.0, 10.0
WINDOW_S, SETTLED_S, SHORT_S = 10.0, 3.0, 3.0
SET_POINTS = (0.25, 0.4, 0.55, 0.7, 0.85, 1.0)
CHANGES = (1.0, 0.4, 0.85, 0.25, 0.7, 0.55, 1.0)
CHANGE_S = 20.0
LEVERS: tuple[Lever, ...] = ("all", "adapters_only", "rate_only")


@dataclass(frozen=True)
class Row:
    """One run, or one change of the set-point.

    Attributes:
        set_point: mean watts above idle, as a share of the unlimited.
        previous: the same before a change; none of a whole run.
        kept_share: of windows of 10 s, those at most 5 % above the set-point.
        used: mean watts above idle, as a share of the set-point.
        settling_s: from the change to the first window of 3 s at most 5 % above the set-point.
        overshoot: of the highest window of 3 s above the set-point, as a share; of a whole run
            those after its first 3 s.
        swing: dearest less cheapest window of 3 s, in frames without limits, the last 10 s before
            the next change; frames are whole, so up to 2 is no swing.
        said: whether the governor said that the set-point cannot be kept.
    """

    lever: str
    scenario: str
    set_point: float
    previous: float | None
    kept_share: float
    used: float
    settling_s: float | None
    overshoot: float
    swing: float | None
    mean_ap: float | None
    said: bool


@dataclass(frozen=True)
class Stored:
    """Clips, their stored scores and what parts of a frame take."""

    manifest: Manifest
    model: StoredModel
    frames: LabelledFrames
    costs: dict[tuple[str, View], float]


class Bench:
    """A clock that computing moves on, and a meter over it."""

    source = EnergySource.RAPL
    scope = "synthetic"
    resolution_s = 0.0
    idle_watts = IDLE_W
    error = ErrorModel("synthetic")
    note = ""

    def __init__(self, costs: dict[tuple[str, View], float], *, thermal: bool) -> None:
        self.now = self.busy_s = 0.0
        self._costs, self._thermal = costs, thermal

    def spend(self, part: str, view: View, count: int) -> None:
        slow = 1.5 if self._thermal and int(self.now / 20.0) % 2 else 1.0
        seconds = self._costs[part, view] * count * slow
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
    clips: Annotated[int, typer.Option(min=6, help="Of 6 s; the stream has them twice.")] = 24,
    seed: Annotated[int, typer.Option(help="Of the synthetic scenes.")] = 12,
) -> None:
    """Run every lever at every set-point, with and without a clock that throttles."""
    machine = machine_facts()
    stored = _stored(bundle or default_bundle(), 9 if quick else clips, seed)
    table, order = table_of(stored.manifest), _stream(stored.frames)
    rows = []
    for scenario in ("bursts", "thermal"):
        thermal = scenario == "thermal"
        watts = _played(stored, order, table, lambda now_s: 0.0, thermal=thermal).watts
        for lever in LEVERS:
            for share in SET_POINTS:
                set_point = share * watts
                played = _played(
                    stored, order, only(table, lever), lambda _, w=set_point: w, thermal=thermal
                )
                rows.append(_row(lever, scenario, share, watts, played))
    for lever in LEVERS:
        rows += _changes(stored, only(table, lever), lever)
    Console().print(_printed(rows))
    if json:
        parts = {f"{part} {view}": seconds for (part, view), seconds in stored.costs.items()}
        head = {"machine": machine, "bundle": stored.manifest.name, "seed": seed}
        clip_count = int(stored.frames.sequence.max()) + 1
        body = {"clips": clip_count, "cpu_seconds": parts, "rows": [asdict(row) for row in rows]}
        write_json(json, {**head, **body})


def _stored(folder: Path, clips: int, seed: int) -> Stored:
    torch.set_num_threads(1)
    bundle = read_bundle(folder)
    manifest, model = bundle.manifest, PolymorphModel.from_bundle(bundle, "cpu")
    frames = _frames(model.labels, clips, seed)
    views = {(point.size, point.tail_tokens) for point in table_of(manifest).points}
    scores = {}
    for size in sorted({size for size, _ in views}):
        # the scout's scores are stored with the tails as the bundle has them
        which = {None} | {tokens for of, tokens in views if of == size}
        scores |= store_views(model, frames, size, sorted(which, key=str))
    replayed = StoredModel(model, scores, thumbnails_of(frames, manifest.preprocessing))
    return Stored(manifest, replayed, frames, _costs(model, frames.images[0], list(scores)))


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


def _costs(
    model: PolymorphModel, image: NDArray[np.uint8], views: Sequence[View]
) -> dict[tuple[str, View], float]:
    """CPU seconds of each part on one thread: the least of several runs."""

    def least(work: Callable[[], object]) -> float:
        taken = []
        for _ in range(25):
            start = time.thread_time()
            work()
            taken.append(time.thread_time() - start)
        return min(taken)

    costs: dict[tuple[str, View], float] = {}
    for size, which in views:
        pixels = model.preprocess(image, size)
        tokens = model.trunk(pixels)
        compared = least(lambda size=size: model.thumbnail(model.preprocess(image, size)))
        costs["preprocess", (size, None)] = compared
        costs["trunk", (size, None)] = least(lambda p=pixels: model.scout(model.trunk(p)))
        one, four = (
            least(lambda n=n, t=tokens, w=which: model.tails(t, range(n), w)) for n in (1, 4)
        )
        # of each of the one to four that usually run
        costs["tails", (size, which)] = 0.5 * (one + four / 4.0)
    return costs


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
    said: NDArray[np.bool_]

    @property
    def watts(self) -> float:
        """Mean above idle."""
        return float(self.above_j.sum() / self.ends_s[-1])

    def windows(self, length_s: float, since_s: float, until_s: float) -> NDArray[np.float64]:
        """(windows, 2): beginning, and mean watts above idle, a fifth of a second apart."""
        begins = np.arange(since_s, until_s - length_s + 1e-6, 0.2)
        total = np.concatenate([[0.0], np.cumsum(self.above_j)])
        first, last = (
            np.searchsorted(self.ends_s, at, "right") for at in (begins, begins + length_s)
        )
        return np.stack([begins, (total[last] - total[first]) / length_s], axis=1)


def _played(
    stored: Stored,
    order: Sequence[tuple[int, float]],
    table: Table,
    set_point: Callable[[float], float],
    *,
    thermal: bool = False,
    reuse_s: float = 1.0,
) -> Played:
    """Label the stream; `set_point` says the watts above idle at a time, 0 for none."""
    bench = Bench(stored.costs, thermal=thermal)
    engine = Engine(
        cast(PolymorphModel, stored.model.spending(bench.spend)),
        stored.manifest,
        EnergyLedger(cast(Meter, bench), bench.clock),
        table=table,
        clock=bench.clock,
    )
    ends, above, scores, said = [], [], [], []
    watts = None
    for row, arrival_s in order:
        bench.wait_until(arrival_s)
        if watts != set_point(arrival_s):
            watts = set_point(arrival_s)
            engine.apply(
                EngineSettings(
                    budget_watts=IDLE_W + watts if watts else 0.0,
                    reuse_s=reuse_s,
                    detect_unknown_scenes=False,
                )
            )
        before = bench.busy_s
        # a clip that begins is another place: its labels have nothing to do with the last one's
        result = engine.step(Frame(row_image(row), round(arrival_s * 1e9)))
        ends.append(bench.now)
        above.append(BUSY_W * (bench.busy_s - before))
        scores.append(result.score_array)
        said.append("cannot be kept" in result.reason)
    truth = stored.frames.truth[[row for row, _ in order]]
    return Played(np.array(ends), np.array(above), np.stack(scores), truth, np.array(said))


def _row(lever: str, scenario: str, share: float, unlimited: float, played: Played) -> Row:
    """A whole run."""
    watts, end_s = share * unlimited, float(played.ends_s[-1])
    long = played.windows(WINDOW_S, SETTLED_S, end_s)[:, 1]
    short = played.windows(SHORT_S, 0.0, end_s)
    late = short[short[:, 0] >= SETTLED_S, 1]
    return Row(
        *(lever, scenario, share, None),
        kept_share=float((long <= 1.05 * watts).mean()),
        used=played.watts / watts,
        settling_s=_settled_s(short, watts),
        overshoot=float(late.max() / watts - 1.0),
        swing=None,
        mean_ap=mean_average_precision(played.scores, played.truth),
        said=bool(played.said.any()),
    )


def _settled_s(short: NDArray[np.float64], watts: float) -> float | None:
    """From the first window to the first that is at most 5 % above the set-point."""
    low = short[short[:, 1] <= 1.05 * watts, 0]
    return float(low[0] - short[0, 0]) if len(low) else None


def _changes(stored: Stored, table: Table, lever: str) -> Iterator[Row]:
    """A set-point that changes, on one picture that is computed each time."""
    frames = int(len(CHANGES) * CHANGE_S * HZ)
    order = [(0, index / HZ) for index in range(frames)]
    whole = _played(stored, order[:100], table, lambda now_s: 0.0, reuse_s=0.0)
    unlimited, frame_j = whole.watts, float(whole.above_j[-1])
    played = _played(
        *(stored, order, table),
        lambda now_s: CHANGES[int(now_s / CHANGE_S + 1e-9)] * unlimited,
        reuse_s=0.0,
    )
    for number, (before, share) in enumerate(pairwise(CHANGES), start=1):
        since_s, watts = number * CHANGE_S, share * unlimited
        until_s = since_s + CHANGE_S
        short = played.windows(SHORT_S, since_s, until_s)
        last = short[short[:, 0] >= until_s - WINDOW_S, 1]
        inside = (played.ends_s > since_s) & (played.ends_s <= until_s)
        long = played.windows(WINDOW_S, since_s, until_s)[:, 1]
        yield Row(
            *(lever, "changes", share, before),
            kept_share=float((long <= 1.05 * watts).mean()),
            used=float(played.above_j[inside].sum() / CHANGE_S / watts),
            settling_s=_settled_s(short, watts),
            overshoot=float(short[:, 1].max() / watts - 1.0),
            swing=float(np.ptp(last) * SHORT_S / frame_j),
            mean_ap=None,
            said=bool(played.said[inside].any()),
        )


def _printed(rows: Sequence[Row]) -> Printed:
    table = Printed(
        "scenario", "lever", "set-point", "kept", "used", "settles s", "overshoot", "swing", "AP",
        "said",
    )  # fmt: skip

    def number(value: float | None, digits: int) -> str:
        return "" if value is None else f"{value:.{digits}f}"

    for row in rows:
        before = "" if row.previous is None else f"{row.previous:.0%} to "
        table.add_row(
            row.scenario, row.lever, f"{before}{row.set_point:.0%}", f"{row.kept_share:.0%}",
            f"{row.used:.2f}", number(row.settling_s, 1), f"{row.overshoot:+.0%}",
            number(row.swing, 1), number(row.mean_ap, 4), "yes" if row.said else "",
        )  # fmt: skip
    return table


if __name__ == "__main__":
    run(main)
