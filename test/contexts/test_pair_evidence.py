"""Pins how likely two labels are together: unseen pairs are foretold, unknown is not absent."""

from __future__ import annotations

import numpy as np
import pytest

from polymorph_ros.contexts.pair_evidence import (
    estimates,
    mixture_weights,
    population_sets,
    seen_pairs,
)
from polymorph_ros.data.track import Track


def track(frames: list[list[int]]) -> Track:
    return Track(np.array(frames, dtype=np.int8), np.arange(float(len(frames))))


def test_estimates_are_distributions_over_pairs_of_different_labels() -> None:
    tables = estimates([track([[1, 1, 0], [0, 1, 1]]), track([[1, 0, -1]])])

    for table in tables:
        assert (table >= 0).all()
        assert np.isclose(table.sum(), 1.0) or table.sum() == 0
        np.testing.assert_array_equal(table, table.T)
        assert not table.diagonal().any()


def test_labels_that_follow_each_other_are_likelier_together_than_those_hours_apart() -> None:
    near = Track(np.array([[1, 0, 0], [0, 1, 0]], dtype=np.int8), np.array([0.0, 2.0]))
    apart = Track(np.array([[1, 0, 0], [0, 0, 1]], dtype=np.int8), np.array([0.0, 9000.0]))

    total = estimates([near, apart]).sum(axis=0)

    assert total[0, 1] > total[0, 2]


def test_shares_are_of_the_frames_in_which_both_are_known() -> None:
    annotated, rest = track([[1, 1, 0]] * 10), track([[1, -1, 1]] * 20 + [[1, -1, 0]] * 70)

    seen = seen_pairs([annotated, rest])
    sets = population_sets([annotated, rest])

    assert seen[0, 1] == pytest.approx(5 * seen[0, 2])  # in all frames, in a fifth of them
    by_set = dict(zip(map(tuple, sets.rows.toarray().tolist()), sets.weights, strict=True))
    assert by_set == pytest.approx({(1, 1, 0): 100.0, (1, 0, 1): 20.0, (1, 0, 0): 70.0})


def test_the_mixture_trusts_the_estimate_that_foretells_other_sequences() -> None:
    rng = np.random.default_rng(0)
    tables = rng.random((3, 6, 6))
    tables = tables + tables.transpose(0, 2, 1)
    tables /= tables.sum(axis=(1, 2), keepdims=True)

    weights = mixture_weights(tables, tables[1])

    assert weights.sum() == pytest.approx(1.0)
    assert weights.argmax() == 1
