"""Pins the agreement of labels and contexts: it is Bayes' rule for independent labels.

Open: labels that are not independent; how well it does on real label sets is measured on traces.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from polymorph_ros.contexts.cost import membership
from polymorph_ros.contexts.statistics import Dynamics
from polymorph_ros.runtime.joint_belief import JointBelief
from polymorph_ros.runtime.knowledge import EvidenceWeights, Knowledge
from polymorph_ros.runtime.pairs import make_pairs
from polymorph_ros.runtime.thresholds import Thresholds

CONTEXTS = ((0, 1, 2), (3, 4))
LABELS = 5
PRIORS = st.lists(st.floats(0.01, 0.6), min_size=LABELS, max_size=LABELS).map(np.array)
SCORES = st.lists(st.floats(0.02, 0.98), min_size=2, max_size=2)

Floats = NDArray[np.float64]


def joint_belief(prior: Floats, **weights: float) -> JointBelief:
    """Independent labels; a context is there when one of its labels is."""
    present = np.array([1.0 - np.prod(1.0 - prior[list(group)]) for group in CONTEXTS])
    rates = [np.full(count, 0.1) for count in (LABELS, len(CONTEXTS))]
    half = np.full(LABELS, 0.5)
    return JointBelief(
        Knowledge(
            labels=tuple("abcde"),
            context_names=("one", "two"),
            contexts=CONTEXTS,
            members=membership(CONTEXTS, LABELS),
            pairs=make_pairs(CONTEXTS, prior, present),
            label_dynamics=Dynamics(prior, rates[0], rates[0]),
            context_dynamics=Dynamics(present, rates[1], rates[1]),
            costs=np.ones(2),
            thresholds=Thresholds(half, half, half),
            weights=EvidenceWeights(context=1.0, scout=1.0, **weights),
        )
    )


def by_trying_all(prior: Floats, context_scores: list[float]) -> Floats:
    """P(label) when each context's score multiplies the odds that some of its labels is there."""
    believed = np.zeros(LABELS)
    for group, score in zip(CONTEXTS, context_scores, strict=True):
        chances = prior[list(group)]
        none = np.prod(1.0 - chances)
        ratio = score / (1.0 - score) * none / (1.0 - none)
        weights = {
            state: np.prod(np.where(state, chances, 1.0 - chances)) * (ratio if any(state) else 1.0)
            for state in product((0, 1), repeat=len(group))
        }
        total = sum(weights.values())
        for place, label in enumerate(group):
            believed[label] = sum(w for state, w in weights.items() if state[place]) / total
    return believed


@given(PRIORS, SCORES)
@settings(deadline=None)
def test_a_contexts_score_changes_its_labels_by_bayes_rule(prior: Floats, scores) -> None:
    belief = joint_belief(prior)

    belief.update_from_scout(prior, scores)  # the labels' own scores say nothing

    assert belief.labels == pytest.approx(by_trying_all(prior, scores), rel=1e-3)


@given(PRIORS, st.lists(st.floats(0.02, 0.97), min_size=LABELS, max_size=LABELS))
@settings(deadline=None)
def test_a_context_is_believed_as_far_as_its_labels_are(prior: Floats, scores) -> None:
    belief = joint_belief(prior)

    belief.update_from_scout(scores, np.full(2, np.nan))

    seen = np.array(scores)
    some = np.array([1.0 - np.prod(1.0 - seen[list(group)]) for group in CONTEXTS])
    assert belief.contexts == pytest.approx(some, rel=1e-3)
    assert belief.labels == pytest.approx(seen, rel=1e-3)


@given(
    PRIORS,
    st.lists(
        st.sampled_from([0.0, 1e-6, 0.5, 1.0 - 1e-6, 1.0]), min_size=LABELS + 2, max_size=LABELS + 2
    ),
)
@settings(deadline=None)
def test_beliefs_stay_probabilities_however_sure_the_scores_are(prior: Floats, scores) -> None:
    # A label that hardly ever changes stays as sure as a belief may be, and each frame adds to it.
    belief = joint_belief(prior, cooccurrence=0.5, correlation_s=1e-5)

    for _ in range(3):
        belief.predict(1e-4)
        belief.update_from_scout(scores[:LABELS], scores[LABELS:])

        for believed in (belief.labels, belief.contexts):
            assert ((believed > 0) & (believed < 1)).all()
