"""Cover: the cheapest set of adapters whose contexts contain all labels in play."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from polymorph_ros.arrays import Floats, Mask

# Branch and bound gives up after so many steps and keeps the best cover that it has found, which
# is at least the greedy one. Covers of a robot's frames need far fewer.
_STEPS = 300


def contexts_of_labels(members: Mask) -> tuple[tuple[int, ...], ...]:
    """The contexts that contain each label, ascending; from a mask of (contexts, labels)."""
    return tuple(tuple(np.flatnonzero(column).tolist()) for column in members.T)


def cheapest_cover(
    contexts_of_label: Sequence[Sequence[int]], wanted: Mask, prices: Floats
) -> tuple[int, ...]:
    """The cheapest adapters that cover the wanted labels.

    Labels that only one context has decide for it. What is left is solved by branch and bound,
    which begins with the greedy cover (at most ``1 + ln(labels)`` times the cheapest: Chvatal
    1979) and ends with the cheapest, unless it takes too many steps.

    Args:
        contexts_of_label: the contexts that contain each label, from ``contexts_of_labels``.
        wanted: labels to cover, shape (labels,); those that no context has are passed over.
        prices: price of each adapter, above 0, shape (contexts,).

    Returns:
        Indices of adapters, ascending, none of them superfluous.
    """
    asked = [contexts_of_label[label] for label in wanted.nonzero()[0].tolist()]
    # What each context has of the wanted labels, as the bits of a number.
    sets: dict[int, int] = {}
    for place, contexts in enumerate(asked):
        for context in contexts:
            sets[context] = sets.get(context, 0) | 1 << place
    chosen = {contexts[0] for contexts in asked if len(contexts) == 1}
    left = _union(sets.values()) & ~_union(sets[context] for context in chosen)
    if not left:
        return tuple(sorted(chosen))
    chosen.update(_search(sets, prices, left))
    return _without_superfluous(sets, sorted(chosen), prices)


def cover_within(members: Mask, worth: Floats, prices: Floats, limit: int) -> tuple[int, ...]:
    """At most so many adapters, chosen greedily by the worth of the labels that each adds.

    The worth that they cover is at least ``1 - 1/e`` of the most possible (Nemhauser 1978).

    Args:
        members: which context contains which label, shape (contexts, labels).
        worth: of covering each label, 0 for those that need not be, shape (labels,).
        prices: price of each adapter, above 0, shape (contexts,).
        limit: at most so many adapters.
    """
    left = worth.copy()
    chosen: list[int] = []
    while len(chosen) < limit:
        gain = (members @ left) / prices
        best = int(gain.argmax())
        if gain[best] <= 0.0:
            break
        chosen.append(best)
        left[members[best]] = 0.0
    return tuple(sorted(chosen))


def _union(sets: Iterable[int]) -> int:
    union = 0
    for members in sets:
        union |= members
    return union


def _search(sets: Mapping[int, int], prices: Floats, left: int) -> list[int]:
    """The cheapest cover of what is left, by the contexts that have something of it."""
    rows = sorted(row for row, members in sets.items() if members & left)
    useful, costs = [sets[row] & left for row in rows], prices[rows].tolist()
    places = _undominated(useful, costs)
    problem = _Problem([useful[place] for place in places], [costs[place] for place in places])
    problem.search(left)
    return [rows[places[place]] for place in problem.best]


def _undominated(sets: Sequence[int], costs: Sequence[float]) -> list[int]:
    """Sets that no other contains at no higher cost; of equal ones the first."""
    order = sorted(range(len(sets)), key=lambda row: (costs[row], -sets[row].bit_count(), row))
    chosen: list[int] = []
    for row in order:
        if not any(sets[row] & ~sets[other] == 0 for other in chosen):
            chosen.append(row)
    return chosen


@dataclass
class _Problem:
    """A set cover by branch and bound over bit sets."""

    sets: list[int]
    costs: list[float]
    best: list[int] = field(default_factory=list)
    best_cost: float = float("inf")
    steps: int = 0

    def search(self, everything: int) -> None:
        """Find the cheapest cover, or the cheapest that `_STEPS` allow."""
        self._greedy(everything)
        self._branch(everything, 0.0, [])

    def _greedy(self, left: int) -> None:
        chosen: list[int] = []
        cost = 0.0
        while left:
            place = max(
                range(len(self.sets)),
                key=lambda row: (self.sets[row] & left).bit_count() / self.costs[row],
            )
            chosen.append(place)
            cost += self.costs[place]
            left &= ~self.sets[place]
        self.best, self.best_cost = chosen, cost

    def _branch(self, left: int, cost: float, chosen: list[int]) -> None:
        if not left:
            if cost < self.best_cost:
                self.best, self.best_cost = list(chosen), cost
            return
        self.steps += 1
        if self.steps > _STEPS or cost + self._bound(left) >= self.best_cost:
            return
        for place in self._choices(left):
            chosen.append(place)
            self._branch(left & ~self.sets[place], cost + self.costs[place], chosen)
            chosen.pop()

    def _bound(self, left: int) -> float:
        """What the rest costs at least: the lowest price per label, for every label left."""
        rates = (
            cost / size
            for cost, row in zip(self.costs, self.sets, strict=True)
            if (size := (row & left).bit_count())
        )
        return left.bit_count() * min(rates)

    def _choices(self, left: int) -> list[int]:
        """The sets that contain the label with the fewest choices, best first."""
        fewest: list[int] = []
        rest = left
        while rest:
            bit = rest & -rest
            rest ^= bit
            choices = [row for row, members in enumerate(self.sets) if members & bit]
            if not fewest or len(choices) < len(fewest):
                fewest = choices
        return sorted(fewest, key=lambda row: self.costs[row] / (self.sets[row] & left).bit_count())


def _without_superfluous(
    sets: Mapping[int, int], chosen: Sequence[int], prices: Floats
) -> tuple[int, ...]:
    """The chosen adapters without those that the others make superfluous, dearest first."""
    needed = set(chosen)
    for adapter in sorted(chosen, key=lambda row: -prices[row]):
        others = _union(sets[other] for other in needed if other != adapter)
        if sets[adapter] & ~others == 0:
            needed.remove(adapter)
    return tuple(sorted(needed))
