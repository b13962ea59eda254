"""What contexts cost on sequences that they were not formed on, beside other groups of labels."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from parts.context_study.groupings import (
    louvain_groups,
    random_groups,
    spectral_groups,
)
from parts.traces import Trace
from polymorph_ros.arrays import Mask
from polymorph_ros.contexts.cost import expected_adapters, membership
from polymorph_ros.contexts.formation import ContextLimits, form_contexts
from polymorph_ros.contexts.label_sets import LabelSets, label_sets
from polymorph_ros.data.track import Track
from polymorph_ros.errors import PolymorphError

METHODS = ("polymorph", "random", "spectral", "louvain")


@dataclass(frozen=True)
class Row:
    """One method on one trace.

    Attributes:
        trace: its name.
        method: one of ``METHODS``.
        adapters_per_frame: mean size of a greedy cover over the held-out frames with labels.
        excess: what of it is above one adapter.
        excess_to_random: the excess as a multiple of the random groups' (0 where both have none).
        training_adapters_per_frame: the same mean on the sequences that groups were formed on.
        contexts: how many there are, at most.
        labels_per_context: how many labels each may have.
        slots: memberships of labels in contexts, all together.
        labels: of the vocabulary.
        held_out_frames: frames with labels that were measured on.
        seconds: to form the groups; CPU time, which other work on the machine does not change much.
        runs: groups that the means are over: random groups of several seeds, else one.
    """

    trace: str
    method: str
    adapters_per_frame: float
    excess: float
    excess_to_random: float
    training_adapters_per_frame: float
    contexts: int
    labels_per_context: int
    slots: int
    labels: int
    held_out_frames: int
    seconds: float
    runs: int


@dataclass(frozen=True)
class _Halves:
    name: str
    training: list[Track]
    seen: LabelSets
    held_out: LabelSets


def study_trace(trace: Trace, limits: ContextLimits, *, seed: int, runs: int) -> Iterator[Row]:
    """Rows of all methods on one trace.

    Args:
        trace: split by sequence into halves, one to form groups on and one to measure on.
        limits: the same for all methods.
        seed: of the split and of the methods.
        runs: random groups to take the mean of.

    Raises:
        PolymorphError: fewer than two sequences, no label in one of the halves, or too little room.
    """
    labels = len(trace.vocabulary)
    limits.must_hold(labels)
    halves = _halves(trace, seed)
    ways: dict[str, Callable[[int], Mask]] = {
        "random": lambda run: random_groups(labels, limits, seed + run),
        "spectral": lambda run: spectral_groups(halves.seen, limits, seed),
        "louvain": lambda run: louvain_groups(halves.seen, limits, seed),
        "polymorph": lambda run: membership(
            form_contexts(halves.training, limits, seed=seed), labels
        ),
    }
    at_random = 0.0
    for method, way in ways.items():
        row = _row(method, way, halves, limits, runs if method == "random" else 1, at_random)
        at_random = row.excess if method == "random" else at_random
        yield row


def _row(
    method: str,
    way: Callable[[int], Mask],
    halves: _Halves,
    limits: ContextLimits,
    runs: int,
    at_random: float,
) -> Row:
    start = time.process_time()
    groups = [way(run) for run in range(runs)]
    seconds = (time.process_time() - start) / runs
    held_out = float(np.mean([expected_adapters(members, halves.held_out) for members in groups]))
    seen = float(np.mean([expected_adapters(members, halves.seen) for members in groups]))
    excess = held_out - 1
    base = excess if method == "random" else at_random
    return Row(
        trace=halves.name,
        method=method,
        adapters_per_frame=round(held_out, 5),
        excess=round(excess, 5),
        excess_to_random=round(excess / base, 4) if base > 0 else 0.0,
        training_adapters_per_frame=round(seen, 5),
        contexts=limits.contexts,
        labels_per_context=limits.labels_per_context,
        slots=max(int(members.sum()) for members in groups),
        labels=halves.seen.labels,
        held_out_frames=int(halves.held_out.weights.sum()),
        seconds=round(seconds, 3),
        runs=runs,
    )


def _halves(trace: Trace, seed: int) -> _Halves:
    order = np.random.default_rng(seed).permutation(len(trace.tracks))
    middle = len(order) // 2
    training = [trace.tracks[index] for index in np.sort(order[:middle])]
    seen, held_out = (
        label_sets([trace.tracks[index] for index in np.sort(half)])
        for half in (order[:middle], order[middle:])
    )
    if not middle or not len(seen.weights) or not len(held_out.weights):
        raise PolymorphError(
            "labels in both halves of the sequences",
            f"{len(order)} sequence(s), none in one half",
            where=trace.name,
        )
    return _Halves(trace.name, training, seen, held_out)
