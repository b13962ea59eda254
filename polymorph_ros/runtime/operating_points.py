"""Operating points: what the governor may trade, in the order of what it costs in accuracy.

A point sets all levers at once: how many adapters run, from which belief a label is covered, how
much a picture may change before it is computed anew, which share of frames is computed at all, how
large a picture is, and whether the tails get pooled patches.
Training measures each point's mean AP and work on validation frames and stores them in the bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from polymorph_ros.bundle.manifest import Manifest, OperatingPoint

Lever = Literal["all", "adapters_only", "rate_only"]

# Each n-th frame is computed at the last points of a bundle that has no table.
_EVERY = (1, 2, 3, 4, 6, 8, 12, 16)

UNLIMITED = OperatingPoint()


@dataclass(frozen=True)
class Table:
    """Points and where they were measured.

    Attributes:
        points: the first without limits.
        hz: frames per second of the validation frames; 0 where nothing was measured.
        even: whether each n-th frame is computed, whatever it shows: to compare with.
    """

    points: tuple[OperatingPoint, ...]
    hz: float = 0.0
    even: bool = False

    def at(self, hz: float, *, reuse: bool) -> tuple[OperatingPoint, ...]:
        """The points for a camera of another rate.

        Which of its frames are computed matters by the time between them: of a camera twice as
        fast as the validation frames, half of the frames are as good as all of those. So the
        points come again with fewer frames. A slower camera has them as they are.

        Args:
            hz: frames per second; NaN where that is not known.
            reuse: whether results are reused while the picture stays; the table has it so.
        """
        points = self.points
        if not reuse:
            points = tuple(
                point.model_copy(update={"computed": 1.0 / point.every})
                for point in points
                if point.reuse_scale == 1.0
            )
        times = hz / self.hz if self.hz else 1.0
        if not times > 1.0:
            return points
        slower = (
            point.model_copy(
                update={"every": point.every * times, "computed": point.computed / times}
            )
            for point in points
        )
        return (points[0], *slower)


@dataclass(frozen=True)
class Step:
    """A point of the ladder and its mean cost, as a share of the unlimited cost."""

    point: OperatingPoint
    share: float


def table_of(manifest: Manifest) -> Table:
    """The bundle's points, or the stated default for one that was trained before they were learned.

    The default: fewer adapters down to one, then fewer frames. The number of adapters that run
    without a limit is taken as the sum of the contexts' priors.
    """
    if manifest.operating_points:
        return Table(manifest.operating_points, manifest.operating_points_hz)
    usual = max(1.0, sum(context.prior for context in manifest.contexts))
    limits = range(min(len(manifest.contexts), round(usual) + 2), 0, -1)
    return Table(
        (
            OperatingPoint(adapters=usual),
            *(OperatingPoint(max_adapters=limit, adapters=min(limit, usual)) for limit in limits),
            *(
                OperatingPoint(max_adapters=1, every=every, adapters=1.0, computed=1.0 / every)
                for every in _EVERY[1:]
            ),
        )
    )


def only(table: Table, lever: Lever) -> Table:
    """The points that move one lever only, to compare with; frames are then left out evenly."""
    if lever == "all":
        return table
    free = "max_adapters" if lever == "adapters_only" else "every"
    unmoved = {free: getattr(UNLIMITED, free)}
    points = tuple(p for p in table.points if p.model_copy(update=unmoved).unlimited)
    return Table(points, table.hz if lever == "rate_only" else 0.0, even=True)


@dataclass(frozen=True)
class Mixture:
    """Two points that take turns.

    Attributes:
        part: of the frames, those that are the dear one's; the others are the cheap one's.
    """

    cheap: OperatingPoint
    dear: OperatingPoint
    part: float

    @property
    def rate(self) -> float:
        """Share of frames whose turn it is."""
        return self.part / self.dear.every + (1.0 - self.part) / self.cheap.every

    @property
    def dear_of_computed(self) -> float:
        """Of those, the share that is the dear one's."""
        return self.part / self.dear.every / self.rate


def mixture(steps: Sequence[Step], share: float) -> Mixture:
    """The two neighbouring steps whose mixture has this mean cost; the last alone below it."""
    below = next(
        (place for place, step in enumerate(steps) if step.share <= share + 1e-9), len(steps) - 1
    )
    cheap, dear = steps[below], steps[max(0, below - 1)]
    width = dear.share - cheap.share
    part = min(1.0, max(0.0, (share - cheap.share) / width)) if width > 0 else 0.0
    return Mixture(cheap.point, dear.point, part)


def ladder(
    points: Sequence[OperatingPoint], cost: Callable[[OperatingPoint], float]
) -> tuple[Step, ...]:
    """The best points from the dearest to the cheapest, for what they cost here.

    Between two of them frames alternate, which mixes cost and accuracy in proportion: so the best
    mixtures are those of the upper hull of accuracy over cost (Andrew 1979). Points whose accuracy
    is not known stay in their order, as far as each is cheaper than the one before.
    """
    unlimited = cost(points[0])
    steps = [Step(point, cost(point) / unlimited) for point in points]
    if any(point.mean_ap is None for point in points):
        return _each_cheaper(steps)
    return _each_cheaper(_hull([step for step in steps if step.share <= 1.0]))


def _each_cheaper(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps that are cheaper than all before them."""
    chosen = [steps[0]]
    for step in steps[1:]:
        if step.share < chosen[-1].share - 1e-6:
            chosen.append(step)
    return tuple(chosen)


def _hull(steps: Sequence[Step]) -> list[Step]:
    """The upper hull of accuracy over cost, dearest first, below the unlimited step.

    That one stays whatever validation says: a budget that is not needed changes nothing.
    """
    hull: list[Step] = []
    for step in sorted(steps, key=lambda step: (-step.share, -_accuracy(step))):
        while len(hull) > 1 and _accuracy(step) >= _accuracy(hull[-1]):
            hull.pop()
        while len(hull) > 2 and _accuracy(hull[-1]) <= _between(hull[-2], step, hull[-1].share):
            hull.pop()
        hull.append(step)
    return hull


def _accuracy(step: Step) -> float:
    return step.point.mean_ap or 0.0


def _between(dear: Step, cheap: Step, share: float) -> float:
    """Accuracy on the line between two steps."""
    width = max(dear.share - cheap.share, 1e-12)
    part = (share - cheap.share) / width
    return _accuracy(cheap) + part * (_accuracy(dear) - _accuracy(cheap))
