"""Pins the arithmetic of the report: the Pareto front, stretches of time, tables."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from polymorph_ros.evaluation.report.pareto import pareto_front
from polymorph_ros.evaluation.report.runs import frame_edges, runs

points = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12)


@given(points)
def test_no_point_on_the_front_is_beaten_and_every_other_is(
    points: list[tuple[int, int]],
) -> None:
    front = pareto_front([(float(cost), float(value)) for cost, value in points])

    on = [points[index] for index in front]
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(on))
    for cost, value in points:
        assert any(c <= cost and v >= value for c, v in on)


def test_points_without_a_figure_are_on_no_front() -> None:
    assert pareto_front([(math.nan, 1.0), (1.0, math.nan), (2.0, 0.5)]) == [2]


def test_runs_end_where_the_next_frame_begins() -> None:
    edges = frame_edges(np.array([0.0, 1.0, 3.0, 4.0]))

    assert edges.tolist() == [0.0, 1.0, 3.0, 4.0, 5.0]
    assert runs(np.array([True, False, True, True]), edges) == [(0.0, 1.0), (3.0, 5.0)]
    assert runs(np.zeros(4, np.bool_), edges) == []


def test_a_single_frame_lasts_a_second() -> None:
    assert frame_edges(np.array([0.0])).tolist() == [0.0, 1.0]
