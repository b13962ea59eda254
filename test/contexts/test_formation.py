"""Pins context formation: limits hold, every label has a context, the vocabulary's order does not
matter, unknown is not absent, and small worlds get the contexts that are best for them.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polymorph_ros.contexts.cost import expected_adapters, membership
from polymorph_ros.contexts.formation import (
    TRUSTS,
    ContextLimits,
    Evidence,
    choose_trust,
    deal,
    form,
    form_contexts,
)
from polymorph_ros.contexts.label_sets import label_sets
from polymorph_ros.contexts.pair_evidence import estimates, mixture_weights, seen_pairs
from polymorph_ros.data.track import Track
from polymorph_ros.errors import PolymorphError


def track_of(*frames: tuple[int, ...], labels: int) -> Track:
    truth = np.zeros((len(frames), labels), dtype=np.int8)
    for row, present in enumerate(frames):
        truth[row, list(present)] = 1
    return Track(truth, np.arange(float(len(frames))))


def worlds(
    *groups: tuple[int, ...], labels: int, seed: int = 0, sequences: int = 12
) -> list[Track]:
    """Sequences that each stay in one world and show two or three of its labels at a time."""
    rng = np.random.default_rng(seed)
    return [
        track_of(
            *(tuple(rng.permutation(group)[: rng.integers(2, 4)]) for _ in range(20)),
            labels=labels,
        )
        for group in groups
        for _ in range(sequences // len(groups))
    ]


def cost(contexts: tuple[tuple[int, ...], ...], tracks: list[Track]) -> float:
    return expected_adapters(membership(contexts, tracks[0].truth.shape[1]), label_sets(tracks))


FRAMES = st.lists(st.sets(st.integers(0, 9), max_size=5), min_size=1, max_size=6)


@given(st.lists(FRAMES, min_size=1, max_size=5), st.integers(1, 5), st.integers(2, 11))
@settings(deadline=None, max_examples=40)
def test_limits_hold_and_every_label_is_served(
    sequences: list[list[set[int]]], contexts: int, size: int
) -> None:
    tracks = [track_of(*map(tuple, frames), labels=10) for frames in sequences]
    limits = ContextLimits(contexts, size)

    if contexts * size < 10:
        with pytest.raises(PolymorphError, match="room for 10 labels"):
            form_contexts(tracks, limits)
        return
    formed = form_contexts(tracks, limits)

    assert len(formed) <= contexts
    assert all(0 < len(group) <= size for group in formed)
    assert {label for group in formed for label in group} == set(range(10))


@given(st.permutations(range(9)), st.integers(0, 3))
@settings(deadline=None, max_examples=15)
def test_the_order_of_the_vocabulary_does_not_matter(order: list[int], seed: int) -> None:
    limits = ContextLimits(4, 3)
    tracks = worlds((0, 1, 2, 3), (3, 4, 5, 6), (0, 7, 8), labels=9, seed=seed)
    renamed = [Track(track.truth[:, order], track.stamps_s) for track in tracks]

    formed = form_contexts(tracks, limits)
    again = form_contexts(renamed, limits)

    assert cost(again, renamed) == pytest.approx(cost(formed, tracks), abs=1e-12)


def test_the_same_seed_gives_the_same_contexts() -> None:
    tracks = worlds((0, 1, 2, 3), (3, 4, 5, 6), (0, 7, 8), labels=9)

    first, second = (form_contexts(tracks, ContextLimits(4, 3), seed=5) for _ in range(2))

    assert first == second


def test_worlds_that_share_a_label_get_overlapping_contexts_and_one_adapter_a_frame() -> None:
    tracks = worlds((0, 1, 2), (0, 3, 4), labels=5)

    formed = form_contexts(tracks, ContextLimits(2, 3))

    assert formed == ((0, 1, 2), (0, 3, 4))
    assert cost(formed, tracks) == 1.0


@pytest.mark.parametrize("seed", range(4))
def test_many_worlds_apart_are_found(seed: int) -> None:
    groups = tuple(tuple(range(first, first + 4)) for first in range(0, 24, 4))
    tracks = worlds(*groups, labels=24, seed=seed, sequences=24)

    assert form_contexts(tracks, ContextLimits(6, 4), seed=seed) == groups


def test_one_context_is_enough_where_it_holds_all_labels() -> None:
    assert form_contexts(worlds((0, 1, 2), labels=3), ContextLimits(4, 3)) == ((0, 1, 2),)


def test_labels_that_nobody_ever_saw_have_a_context_too() -> None:
    tracks = [Track(np.zeros((5, 6), dtype=np.int8), np.arange(5.0))]

    formed = form_contexts(tracks, ContextLimits(3, 2))

    assert {label for group in formed for label in group} == set(range(6))


def test_a_pair_that_is_seldom_annotated_counts_by_the_frames_that_tell() -> None:
    # Whenever 0 and 1 are both annotated they are seen together; 0 and 2 in half of the frames.
    annotated = track_of(*[(0, 1)] * 4, labels=4)
    rest = track_of(*[(0, 2), (0,)] * 8, labels=4)
    absent = Track(rest.truth.copy(), rest.stamps_s)
    rest.truth[:, 1] = -1
    limits = ContextLimits(2, 2)

    assert (0, 1) in form_contexts([annotated, rest] * 10, limits)
    assert (0, 1) not in form_contexts([annotated, absent] * 10, limits)


def test_no_sequence_is_an_error() -> None:
    with pytest.raises(PolymorphError, match="labelled sequences"):
        form_contexts([], ContextLimits(2, 3))


def test_what_is_chosen_is_never_worse_on_the_choosing_set_than_what_it_began_with() -> None:
    tracks = worlds((0, 1, 2, 3), (3, 4, 5, 6), (0, 7, 8), labels=9)
    used, left_out = tracks[::2], tracks[1::2]
    limits = ContextLimits(4, 3)
    tables = estimates(used)
    weights = mixture_weights(tables, seen_pairs(left_out))
    evidence = Evidence.mixed(label_sets(used), tables, weights)
    judge = label_sets(left_out)
    start = deal(9, limits, np.random.default_rng(0))

    chosen = choose_trust(evidence, judge, limits, seed=0)

    cost_of = {
        trust: expected_adapters(form(evidence, limits, trust, 0), judge) for trust in TRUSTS
    }
    assert cost_of[chosen] == min(cost_of.values()) <= expected_adapters(start, judge)
