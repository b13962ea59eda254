"""Cover: the smallest set of adapters whose contexts contain all labels in play."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

# Ties between adapters that cover equally many labels: the likelier context wins, and one that
# already runs is kept. Together less than one label, so they never outweigh coverage.
_LIKELIHOOD = 0.6
_KEEP = 0.3


def membership(contexts: tuple[tuple[int, ...], ...], labels: int) -> Mask:
    """Which context contains which label, shape (contexts, labels)."""
    mask = np.zeros((len(contexts), labels), dtype=np.bool_)
    for row, members in enumerate(contexts):
        mask[row, list(members)] = True
    return mask


def greedy_cover(
    members: Mask,
    in_play: Mask,
    *,
    context_belief: NDArray[np.float64],
    previous: tuple[int, ...] = (),
    limit: int = 0,
) -> tuple[int, ...]:
    """Choose adapters that cover the labels in play.

    Greedy by the number of labels still uncovered (within ``1 + ln(labels)`` of the smallest
    cover: Chvatal 1979), then without the adapters that the later choices made superfluous.

    Args:
        members: shape (contexts, labels).
        in_play: labels to cover, shape (labels,).
        context_belief: probability that each context is there, shape (contexts,).
        previous: the adapters of the last frame, kept where it is a tie.
        limit: at most so many adapters; 0 for no limit.

    Returns:
        Indices of adapters, ascending. Labels in play are uncovered only at the limit.
    """
    preference = _LIKELIHOOD * context_belief
    preference[list(previous)] += _KEEP
    chosen: list[int] = []
    left = in_play.copy()
    while left.any() and (limit == 0 or len(chosen) < limit):
        gain = (members & left).sum(axis=1)
        best = int(np.argmax(np.where(gain > 0, gain + preference, -1.0)))
        if gain[best] == 0:
            break
        chosen.append(best)
        left &= ~members[best]
    return _without_superfluous(members, in_play, chosen)


def _without_superfluous(members: Mask, in_play: Mask, chosen: list[int]) -> tuple[int, ...]:
    times = (members[chosen] & in_play).sum(axis=0)
    kept = []
    for adapter in chosen:
        mine = members[adapter] & in_play
        if mine.any() and (times[mine] > 1).all():
            times = times - mine
        else:
            kept.append(adapter)
    return tuple(sorted(kept))
