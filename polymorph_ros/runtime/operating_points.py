"""Operating points: what the governor may trade, in the order of what it costs in accuracy.

A point sets all levers at once: how many adapters run, from which belief a label is covered, how
much a picture may change before it is computed anew, and which share of frames is computed at all.
Training measures each point's mean AP and work on validation frames and stores them in the bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from polymorph_ros.bundle.manifest import Manifest, OperatingPoint

Lever = Literal["all", "adapters_only", "rate_only"]

# Each n-th frame is computed at the last points of a bundle that has no table.
_EVERY = (1, 2, 3, 4, 6, 8, 12, 16)

UNLIMITED = OperatingPoint()


@dataclass(frozen=True)
class Work:
    """What parts of a frame cost, in one unit.

    Attributes:
        fixed: of a computed frame, without adapters.
        adapter: of each adapter that runs.
        reused: of a frame whose result is reused.
    """

    fixed: float = 1.0
    adapter: float = 0.1
    reused: float = 0.02

    def of(self, point: OperatingPoint) -> float:
        """Mean cost of a frame at a point."""
        computed = self.fixed + point.adapters * self.adapter
        return point.computed * computed + (1.0 - point.computed) * self.reused


@dataclass(frozen=True)
class Step:
    """A point of the ladder and its mean cost, as a share of the unlimited cost."""

    point: OperatingPoint
    share: float


def points_of(manifest: Manifest) -> tuple[OperatingPoint, ...]:
    """The bundle's points, or the stated default for one that was trained before they were learned.

    The default: fewer adapters down to one, then fewer frames. The number of adapters that run
    without a limit is taken as the sum of the contexts' priors.
    """
    if manifest.operating_points:
        return manifest.operating_points
    usual = max(1.0, sum(context.prior for context in manifest.contexts))
    limits = range(min(len(manifest.contexts), round(usual) + 2), 0, -1)
    return (
        OperatingPoint(adapters=usual),
        *(OperatingPoint(max_adapters=limit, adapters=min(limit, usual)) for limit in limits),
        *(
            OperatingPoint(max_adapters=1, every=every, adapters=1.0, computed=1.0 / every)
            for every in _EVERY[1:]
        ),
    )


def only(points: Sequence[OperatingPoint], lever: Lever) -> tuple[OperatingPoint, ...]:
    """The points that move one lever only, to compare with."""
    if lever == "all":
        return tuple(points)
    free = "max_adapters" if lever == "adapters_only" else "every"
    unmoved = {free: getattr(UNLIMITED, free)}
    return tuple(point for point in points if point.model_copy(update=unmoved).unlimited)


def ladder(points: Sequence[OperatingPoint], work: Work) -> tuple[Step, ...]:
    """The best points from the dearest to the cheapest, for what work costs here.

    Between two of them frames alternate, which mixes cost and accuracy in proportion: so the best
    mixtures are those of the upper hull of accuracy over cost (Andrew 1979). Points whose accuracy
    is not known stay in their order, as far as each is cheaper than the one before.
    """
    unlimited = work.of(points[0])
    steps = [Step(point, work.of(point) / unlimited) for point in points]
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
