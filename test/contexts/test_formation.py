"""Pins context formation: limits hold, every label has a context, and the objective is small."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polymorph_ros.contexts.formation import ContextLimits, expected_adapters, form_contexts
from polymorph_ros.contexts.presence import true_presence
from polymorph_ros.contexts.statistics import LabelSets
from polymorph_ros.data.track import Track
from polymorph_ros.errors import PolymorphError
from polymorph_ros.runtime.cover import membership


def sets_of(*groups: tuple[int, ...], labels: int) -> LabelSets:
    rows = np.zeros((len(groups), labels), dtype=bool)
    for row, group in enumerate(groups):
        rows[row, list(group)] = True
    return LabelSets(rows, np.ones(len(groups)))


@given(
    st.lists(st.sets(st.integers(0, 9), min_size=1, max_size=5), min_size=1, max_size=12),
    st.integers(2, 5),
    st.integers(2, 6),
)
@settings(deadline=None, max_examples=50)
def test_limits_hold_and_every_label_is_served(
    groups: list[set[int]], contexts: int, size: int
) -> None:
    sets = sets_of(*map(tuple, groups), labels=10)
    limits = ContextLimits(contexts, size)

    if contexts * size < 10:
        with pytest.raises(PolymorphError, match="room for 10 labels"):
            form_contexts(sets, limits)
        return
    formed = form_contexts(sets, limits)

    assert len(formed) <= contexts
    assert all(len(group) <= size for group in formed)
    assert {label for group in formed for label in group} == set(range(10))


def test_worlds_that_share_a_label_get_overlapping_contexts_and_one_adapter_a_frame() -> None:
    person = 0
    sets = sets_of((person, 1, 2), (person, 1), (person, 3, 4), (4, person), labels=5)

    formed = form_contexts(sets, ContextLimits(2, 3))

    assert sorted(formed) == [(0, 1, 2), (0, 3, 4)]
    assert expected_adapters(membership(formed, 5), sets) == 1.0


def test_expected_adapters_counts_the_greedy_cover() -> None:
    members = membership(((0, 1), (2, 3)), 4)

    assert expected_adapters(members, sets_of((0, 1), (0, 2), labels=4)) == pytest.approx(1.5)


def test_a_label_alone_is_of_the_context_around_it_in_time() -> None:
    kitchen, street = (0, 1, 2), (0, 3, 4)  # label 0, a person, is in both
    members = membership((kitchen, street), 5)
    truth = np.zeros((9, 5), dtype=np.int8)
    truth[:, 0] = 1
    truth[[0, 1, 7, 8], 3] = 1

    presence = true_presence(Track(truth, np.arange(9.0)), members)

    assert (presence[:, 1] == 1).all()
    assert (presence[:, 0] == 0).all()


def test_presence_covers_all_true_labels() -> None:
    members = membership(((0, 1), (1, 2), (3,)), 4)
    truth = np.array([[1, 0, 0, 1], [1, 1, 1, 0], [0, 0, 0, 0]], dtype=np.int8)

    presence = true_presence(Track(truth, np.arange(3.0)), members)

    assert presence.tolist() == [[1, 0, 1], [1, 1, 0], [0, 0, 0]]
