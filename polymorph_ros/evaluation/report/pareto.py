"""The Pareto front: methods that none beats in both accuracy and energy."""

from __future__ import annotations

import math
from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points (cost, value) that no other point is at least as good as in both.

    Cost is better low, value is better high. Points that are not finite are on no front.

    Returns:
        indices by rising cost; of equal points the first.
    """
    finite = [index for index, point in enumerate(points) if all(map(math.isfinite, point))]
    front: list[int] = []
    best = -math.inf
    for index in sorted(finite, key=lambda one: (points[one][0], -points[one][1], one)):
        if points[index][1] > best:
            front.append(index)
            best = points[index][1]
    return front
