"""Context formation: groups of labels so that few adapters cover a frame's labels.

The objective is what contexts cost at run time: the expected number of adapters that cover a
frame. Groups are grown greedily around the label sets that are not covered by one group yet,
then improved by single moves (add, drop or exchange a label) while the objective falls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.contexts.statistics import LabelSets
from polymorph_ros.errors import PolymorphError

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class ContextLimits:
    """How many contexts, and how many labels in each, there may be."""

    contexts: int
    labels_per_context: int


def form_contexts(
    sets: LabelSets, limits: ContextLimits, *, sweeps: int = 4
) -> tuple[tuple[int, ...], ...]:
    """Form contexts over all labels.

    Args:
        sets: label sets of the training frames with their weights.
        limits: how many contexts and labels per context are allowed.
        sweeps: rounds of improvement at the most.

    Returns:
        Label indices of each context, ascending; every label is in at least one.

    Raises:
        PolymorphError: the contexts cannot hold all labels.
    """
    labels = sets.sets.shape[1]
    room = limits.contexts * limits.labels_per_context
    if room < labels:
        raise PolymorphError(
            f"room for {labels} labels",
            f"{limits.contexts} contexts of {limits.labels_per_context} labels",
            where="contexts",
            remedy="allow more contexts or more labels in each",
        )
    members = _place_leftovers(_grow(sets, limits), sets, limits)
    for _ in range(sweeps):
        if not _improve(members, sets, limits.labels_per_context):
            break
    return tuple(tuple(np.flatnonzero(row).tolist()) for row in members if row.any())


def expected_adapters(members: Mask, sets: LabelSets) -> float:
    """The mean number of adapters of a greedy cover, over frames that have labels.

    Labels that no context has are not asked for.
    """
    left = sets.sets & members.any(axis=0)
    total = 0.0
    while (open_sets := left.any(axis=1)).any():
        gain = left[open_sets].astype(np.float32) @ members.T.astype(np.float32)
        total += float(sets.weights[open_sets].sum())
        left[open_sets] &= ~members[gain.argmax(axis=1)]
    return total / float(sets.weights.sum())


def _grow(sets: LabelSets, limits: ContextLimits) -> Mask:
    """Grow one group after another around the label sets that no group contains yet."""
    members = np.zeros((limits.contexts, sets.sets.shape[1]), dtype=np.bool_)
    weights = sets.weights.copy()
    sizes = sets.sets.sum(axis=1)
    for group in members:
        while group.sum() < limits.labels_per_context:
            inside = (sets.sets & group).sum(axis=1)
            gain = ((inside + 1) / sizes) ** 2 - (inside / sizes) ** 2
            score = (weights * gain) @ (sets.sets & ~group)
            if score.max() <= 0:
                break
            group[int(score.argmax())] = True
        weights[~(sets.sets & ~group).any(axis=1)] = 0.0
    return members


def _place_leftovers(members: Mask, sets: LabelSets, limits: ContextLimits) -> Mask:
    """Give every label that no group took the group with room whose labels it goes with most."""
    together = (sets.sets * sets.weights[:, None]).T @ sets.sets.astype(np.float64)
    for label in np.flatnonzero(~members.any(axis=0)):
        sizes = members.sum(axis=1)
        if (sizes >= limits.labels_per_context).all():
            _make_room(members, sets)
            sizes = members.sum(axis=1)
        affinity = members @ together[label] - 1e-9 * sizes
        affinity[sizes >= limits.labels_per_context] = -np.inf
        members[int(affinity.argmax()), label] = True
    return members


def _make_room(members: Mask, sets: LabelSets) -> None:
    """Drop the membership that costs least, of a label that stands in several groups."""
    best: tuple[float, int, int] | None = None
    for row, label in zip(*np.nonzero(members & (members.sum(axis=0) > 1)), strict=True):
        members[row, label] = False
        cost = expected_adapters(members, sets)
        members[row, label] = True
        if best is None or cost < best[0]:
            best = (cost, int(row), int(label))
    assert best is not None, "room for all labels was checked before"
    members[best[1], best[2]] = False


def _improve(members: Mask, sets: LabelSets, size: int) -> bool:
    """Try each single move once; keep those that lower the objective. Tell whether any did."""
    best = expected_adapters(members, sets)
    improved = False
    for row in range(len(members)):
        for label in np.flatnonzero(~members[row]):
            for drop in _drops(members, row, size):
                members[row, label] = True
                if drop >= 0:
                    members[row, drop] = False
                cost = expected_adapters(members, sets)
                if cost < best - 1e-9:
                    best, improved = cost, True
                    break
                members[row, label] = False
                if drop >= 0:
                    members[row, drop] = True
    return improved


def _drops(members: Mask, row: int, size: int) -> list[int]:
    """Labels that may leave a full group (they stand elsewhere too); -1: none has to."""
    if members[row].sum() < size:
        return [-1]
    elsewhere: list[int] = np.flatnonzero(members[row] & (members.sum(axis=0) > 1)).tolist()
    return elsewhere
