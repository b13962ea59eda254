"""Pins the policy: its cover holds what is active, its scores stay scores, reset means reset.

Open: how good it is; ``benchmarks/policy_on_traces.py`` measures that.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polymorph_ros.contexts.cost import membership
from polymorph_ros.contexts.statistics import Dynamics
from polymorph_ros.interfaces.enumerations import ScoreSource
from polymorph_ros.runtime.knowledge import EvidenceWeights, Knowledge
from polymorph_ros.runtime.pairs import make_pairs
from polymorph_ros.runtime.policy import DWELL_S, Policy, PolicyOutput
from polymorph_ros.runtime.result import Cover
from polymorph_ros.runtime.thresholds import Thresholds
from polymorph_ros.runtime.time_base import TimeBase

SECOND_NS = 1_000_000_000
CONTEXTS = ((0, 1, 2), (2, 3, 4), (4, 5), (1, 5))
LABELS = 6
ANY_SCORE = st.floats(allow_nan=True, allow_infinity=True, width=64)
ANY_STAMP = st.integers(-(2**62), 2**62)


def knowledge(order: tuple[int, ...] = tuple(range(LABELS))) -> Knowledge:
    """Six labels in four overlapping contexts; `order` says which label stands where."""
    place = {label: index for index, label in enumerate(order)}
    contexts = tuple(tuple(place[label] for label in group) for group in CONTEXTS)
    prior = np.linspace(0.1, 0.4, LABELS)
    appear, vanish = np.linspace(0.01, 0.1, LABELS), np.linspace(0.5, 0.05, LABELS)
    rows = list(order)
    labels = Dynamics(prior[rows], appear[rows], vanish[rows])
    present = Dynamics(np.full(4, 0.4), np.full(4, 0.05), np.full(4, 0.08))
    return Knowledge(
        labels=tuple("abcdef"[label] for label in order),
        context_names=("one", "two", "three", "four"),
        contexts=contexts,
        members=membership(contexts, LABELS),
        pairs=make_pairs(contexts, labels.prior, present.prior),
        label_dynamics=labels,
        context_dynamics=present,
        costs=np.ones(4),
        thresholds=Thresholds(*(np.full(LABELS, value) for value in (0.5, 0.3, 0.1))),
    )


def scores(count: int) -> st.SearchStrategy[list[float]]:
    return st.lists(ANY_SCORE, min_size=count, max_size=count)


@st.composite
def streams(draw: st.DrawFn) -> list[tuple[int, list[float], list[float], list[float]]]:
    frame = st.tuples(ANY_STAMP, scores(LABELS), scores(4), scores(LABELS))
    return draw(st.lists(frame, max_size=12))


def step(
    policy: Policy,
    stamp_ns: int,
    label_scores: list[float],
    context_scores: list[float],
    answers: list[float],
    limit: int = 0,
) -> tuple[Cover, PolicyOutput]:
    """One frame; `answers` has what an adapter would say of each label."""
    policy.update_from_scout(stamp_ns, label_scores, context_scores)
    cover = policy.select(limit)
    spoken = [[answers[label] for label in CONTEXTS[adapter]] for adapter in cover.adapters]
    return cover, policy.update_from_adapters(cover.adapters, spoken)


@given(streams(), st.integers(0, 2), st.floats(0.0, 0.5))
@settings(deadline=None)
def test_scores_stay_scores_and_active_labels_are_covered_whatever_comes(
    stream, limit: int, probe_share: float
) -> None:
    known = knowledge()
    policy = Policy(known)
    policy.use(known.thresholds, probe_share)

    for frame in stream:
        cover, output = step(policy, *frame, limit=limit)
        assert np.isfinite(output.scores).all()
        assert ((output.scores >= 0) & (output.scores <= 1)).all()
        assert np.isfinite(output.ages_s).all()
        assert (output.ages_s >= 0).all()
        covered = {label for adapter in cover.adapters for label in CONTEXTS[adapter]}
        assert set(output.active_indices) <= covered | set(cover.uncovered)
        if limit:
            assert len(cover.adapters) <= limit
        else:
            assert not cover.uncovered


@given(streams())
@settings(deadline=None)
def test_scores_that_are_not_finite_are_counted_and_say_nothing(stream) -> None:
    policy = Policy(knowledge())

    for stamp_ns, label_scores, context_scores, _ in stream:
        policy.reset()
        policy.update_from_scout(stamp_ns, label_scores, context_scores)
        output = policy.update_from_adapters((), ())
        bad = ~np.isfinite(label_scores)
        assert output.rejected == bad.sum() + (~np.isfinite(context_scores)).sum()
        assert (output.sources[~bad] == ScoreSource.SCOUT).all()


def test_rejected_scores_are_those_of_one_frame_the_adapters_included() -> None:
    policy = Policy(knowledge())

    cover, bad = step(policy, 0, [0.9] * LABELS, [np.nan, *[0.9] * 3], [np.nan] * LABELS)
    _, good = step(policy, SECOND_NS, [0.9] * LABELS, [0.9] * 4, [0.9] * LABELS)

    asked = sum(len(CONTEXTS[adapter]) for adapter in cover.adapters)
    assert asked > 0
    assert (bad.rejected, good.rejected) == (1 + asked, 0)
    assert policy.reuse(2 * SECOND_NS).rejected == 0


def test_a_label_without_a_finite_score_is_reused_and_ages() -> None:
    policy = Policy(knowledge())
    step(policy, 0, [0.9] * LABELS, [0.9] * 4, [0.9] * LABELS)

    _, output = step(policy, SECOND_NS, [np.nan] * LABELS, [0.5] * 4, [np.nan] * LABELS)

    assert (output.sources == ScoreSource.REUSED).all()
    assert output.ages_s == pytest.approx(1.0)


@given(streams())
@settings(deadline=None)
def test_the_same_input_gives_the_same_output_also_after_a_reset(stream) -> None:
    one, other = Policy(knowledge()), Policy(knowledge())
    step(other, 5, [0.9] * LABELS, [0.9] * 4, [0.9] * LABELS)
    other.reset()

    for frame in stream:
        (cover, output), (cover2, output2) = step(one, *frame), step(other, *frame)
        assert cover == cover2
        assert (output.scores == output2.scores).all()
        assert output.changes == output2.changes


@given(streams(), st.permutations(range(LABELS)))
@settings(deadline=None)
def test_belief_does_not_depend_on_the_order_of_the_vocabulary(stream, order) -> None:
    straight, shuffled = Policy(knowledge()), Policy(knowledge(tuple(order)))
    every = tuple(range(4))

    for stamp_ns, label_scores, context_scores, answers in stream:
        straight.update_from_scout(stamp_ns, label_scores, context_scores)
        shuffled.update_from_scout(
            stamp_ns, [label_scores[label] for label in order], context_scores
        )
        spoken = [[answers[label] for label in group] for group in CONTEXTS]
        one, other = (
            straight.update_from_adapters(every, spoken),
            shuffled.update_from_adapters(every, spoken),
        )
        assert one.scores[order] == pytest.approx(other.scores, abs=1e-5)


def test_a_jump_back_in_time_starts_anew_and_says_so() -> None:
    policy, fresh = Policy(knowledge()), Policy(knowledge())
    frame = ([0.7] * LABELS, [0.6] * 4, [0.8] * LABELS)
    for number in range(5):
        step(policy, number * SECOND_NS, *frame)

    cover, output = step(policy, 2 * SECOND_NS, *frame)
    _, expected = step(fresh, 2 * SECOND_NS, *frame)

    assert "jumped back by 2.000 s: started anew" in cover.reason
    assert (output.scores == expected.scores).all()


def test_a_gap_in_time_widens_uncertainty() -> None:
    short, long = Policy(knowledge()), Policy(knowledge())
    for policy, gap_s in ((short, 1), (long, 100)):
        step(policy, 0, [0.99] * LABELS, [0.9] * 4, [0.99] * LABELS)
        policy.update_from_scout(gap_s * SECOND_NS, [np.nan] * LABELS, [np.nan] * 4)

    assert (long.label_belief < short.label_belief).all()


@pytest.mark.parametrize("hz", [1 / 3, 1, 5, 30])
def test_a_label_that_appears_is_active_at_once_or_within_a_tenth_of_a_second(hz: float) -> None:
    policy = Policy(knowledge())
    low, high = [0.02] * LABELS, [0.99] + [0.02] * (LABELS - 1)
    first = round(20 * hz) + 2
    for number in range(first):
        step(policy, round(number * SECOND_NS / hz), low, [0.1] * 4, low)
    assert not policy.active.any()

    for number in range(first, first + 1 + int(0.1 * hz)):
        stamp_ns = round(number * SECOND_NS / hz)
        _, output = step(policy, stamp_ns, high, [0.99, 0.05, 0.05, 0.05], high)

    assert output.active_indices == (0,)


@pytest.mark.parametrize("stamp_ns", [0, 1_700_000_000 * SECOND_NS])
def test_case_01_a_label_leaves_as_soon_with_stamps_that_never_advance(stamp_ns: int) -> None:
    """It is in view in 60 frames, then in 150 not, received 30 times a second."""
    low, high = [0.02] * LABELS, [0.95] * LABELS
    left = []

    for period_ns in (SECOND_NS // 30, 0):
        policy, base = Policy(knowledge()), TimeBase()
        active = []
        for number in range(210):
            scores = high if number < 60 else low
            stamped_ns = stamp_ns + number * period_ns
            time = base.take(stamped_ns, number * SECOND_NS // 30)
            policy.update_from_scout(stamped_ns, scores, scores[:4], time_ns=time.ns)
            active.append(bool(policy.update_from_adapters((), ()).active_indices))
        assert active[:60] == [True] * 60
        left.append(active.index(False))

    assert left[0] <= left[1] <= left[0] + 2


def test_a_label_dwells_before_it_vanishes() -> None:
    policy = Policy(knowledge())
    low, high = [0.001] * LABELS, [0.98] * LABELS
    step(policy, 0, high, [0.95] * 4, high)

    _, soon = step(policy, round(0.5 * DWELL_S * SECOND_NS), low, [0.01] * 4, low)
    step(policy, round(3 * DWELL_S * SECOND_NS), low, [0.01] * 4, low)
    _, later = step(policy, round(10 * DWELL_S * SECOND_NS), low, [0.01] * 4, low)

    assert soon.active_indices
    assert later.active_indices == ()


def test_labels_that_are_each_unlikely_are_covered_where_together_they_are_worth_it() -> None:
    known = knowledge()
    cover = Thresholds(*(np.full(LABELS, value) for value in (0.9, 0.8, 0.5)))
    policy = Policy(known, cover)

    policy.update_from_scout(0, [0.4, 0.4, 0.4, 0.02, 0.02, 0.02], [0.5, 0.02, 0.02, 0.02])

    assert (policy.label_belief < 0.5).all()
    assert policy.select().adapters == (0,)


def test_of_two_contexts_that_hold_a_label_the_one_with_more_likely_cooccurring_labels_runs() -> (
    None
):
    known = knowledge()
    cover = Thresholds(*(np.full(LABELS, value) for value in (0.9, 0.8, 0.5)))
    ran = []

    for cooccurrence in (
        [0.2, 0.2, 0.02, 0.02],
        [0.02, 0.02, 0.2, 0.2],
    ):  # of label 2, in two contexts
        policy = Policy(known, cover)
        policy.update_from_scout(
            0, [*cooccurrence[:2], 0.95, *cooccurrence[2:], 0.02], [np.nan] * 4
        )
        ran.append(policy.select().adapters)

    assert ran == [(0,), (1,)]


def test_a_seen_label_makes_the_others_of_its_context_likelier() -> None:
    policy, blind = Policy(knowledge()), Policy(knowledge())
    step(policy, 0, [0.1, 0.98, 0.2, 0.2, 0.2, 0.2], [0.9, 0.1, 0.1, 0.1], [0.5] * LABELS)
    step(blind, 0, [0.1, 0.02, 0.2, 0.2, 0.2, 0.2], [0.9, 0.1, 0.1, 0.1], [0.5] * LABELS)

    for each in (policy, blind):
        each.update_from_scout(SECOND_NS, [0.2] * LABELS, [np.nan] * 4)

    assert policy.label_belief[0] > blind.label_belief[0]


@given(st.lists(st.tuples(*[st.floats(0.001, 0.999)] * 4), min_size=2, max_size=4))
def test_without_cooccurrence_labels_are_believed_by_their_own_scores(contexts) -> None:
    """The less cooccurrence counts, the less of what is said of contexts reaches their labels."""
    labels = [0.3, 0.6, 0.1, 0.5, 0.2, 0.7]

    def believed(cooccurrence: float) -> list[np.ndarray]:
        each = replace(knowledge(), weights=EvidenceWeights(cooccurrence=cooccurrence))
        found = []
        for scores_of_contexts in contexts:
            policy = Policy(each)
            policy.update_from_scout(0, labels, scores_of_contexts)
            found.append(policy.label_belief.copy())
        return found

    apart, none, half = (
        max(float(np.abs(one - found[0]).max()) for one in found)
        for found in (believed(1.0), believed(0.0), believed(0.5))
    )

    assert none == 0.0
    assert half <= apart + 1e-12


def test_the_probe_takes_its_share_and_goes_round() -> None:
    known = knowledge()
    quiet = Thresholds(*(np.full(LABELS, value) for value in (0.95, 0.9, 0.95)))
    policy = Policy(known)
    policy.use(quiet, probe_share=0.25)
    ran: list[tuple[int, ...]] = []

    for number in range(120):
        cover, _ = step(policy, number * SECOND_NS, [0.2] * LABELS, [0.3] * 4, [0.2] * LABELS)
        ran.append(cover.adapters)

    probes = [adapter for adapters in ran for adapter in adapters]
    assert len(probes) == pytest.approx(120 / 3, abs=2)  # one in four of probes and others
    assert set(probes) == {0, 1, 2, 3}


def size_of(value: object) -> int:
    """Bytes of arrays and entries of containers, in an object and all that it holds."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, (list, tuple, set, dict)):
        parts = value.values() if isinstance(value, dict) else value
        return len(value) + sum(size_of(part) for part in parts)
    return size_of(vars(value)) if hasattr(value, "__dict__") else 1


def test_what_a_policy_remembers_does_not_grow_with_frames() -> None:
    policy, rng = Policy(knowledge()), np.random.default_rng(0)
    sizes: dict[tuple[int, ...], set[int]] = {}  # by what ran last, whose rows are remembered

    for number in range(1000):
        cover, _ = step(
            policy, number * SECOND_NS // 10, *(rng.random(n).tolist() for n in (6, 4, 6))
        )
        if number > 10:
            sizes.setdefault(cover.adapters, set()).add(size_of(policy))

    assert len(sizes) > 3
    assert all(len(different) == 1 for different in sizes.values())


def test_the_adapter_of_a_label_of_priority_is_the_last_that_a_limit_takes() -> None:
    known = knowledge()
    for wanted in range(LABELS):
        policy = Policy(known)
        policy.use(known.thresholds, priority=(known.labels[wanted],))
        label_scores = np.full(LABELS, 0.97)
        label_scores[wanted] = 0.6  # in play, and the least sure of all
        for stamp in range(3):
            policy.update_from_scout(stamp * 100_000_000, label_scores, [0.5] * 4)
            cover = policy.select(limit=1)

        assert known.members[list(cover.adapters), wanted].any(), known.labels[wanted]


def test_raised_cover_thresholds_run_fewer_adapters_but_not_those_of_priority() -> None:
    known = knowledge()
    policy = Policy(known)
    policy.update_from_scout(0, np.full(LABELS, 0.3), [0.5] * 4)
    every = policy.select().adapters
    policy.raise_cover(9.0)
    assert len(policy.select().adapters) < len(every)

    policy.use(known.thresholds, priority=known.labels)
    policy.raise_cover(9.0)
    assert policy.select().adapters == every
