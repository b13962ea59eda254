"""Belief of labels and contexts together: each context is there or not, each label goes with one.

A label that is present has come through one of its contexts, so a context is there exactly when
one of its labels has come through it. Two families of filters run in time, one for labels and one
for contexts; in each frame they are brought into agreement, in both directions:

- P(context) is told by the context's own filter, the scout's context score, and the labels seen.
- A label's odds are multiplied by ``sum_c w_c f_c`` over its contexts, with ``w_c`` the share of c
  in the label and, for a likelihood ratio ``r`` of the context's presence,
  ``f_c = r (1 - v) / ((A - v) r + 1 - A)``, where ``v`` is the probability that the label is there
  through c and ``A`` that any label is. That is Bayes' rule when labels are independent.

An adapter's score holds given that its context is there, where the label has the prior of that
context's frames. So P(label) = P(context) P(label | context, answer) + the rest: what is believed
of the label if the context is not there. How the derivation goes stands in ``docs/belief.md``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from polymorph_ros.contexts.statistics import Dynamics
from polymorph_ros.runtime.belief import (
    Floats,
    Mask,
    TwoStateFilter,
    evidence_of,
    logit,
    sigmoid,
)
from polymorph_ros.runtime.knowledge import Knowledge

# By this share the adapter's answers of a context's labels count for its presence: if the context
# is not there they are noise, which may look like anything.
_ANSWERS_FOR_CONTEXT = 0.5
_SMALL = 1e-7


class JointBelief:
    """Beliefs of one camera's labels and contexts.

    Args:
        knowledge: what training taught.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self._pairs = knowledge.pairs
        self._weights = knowledge.weights
        self._pair_odds = logit(self._pairs.prior)
        correlation_s = knowledge.weights.correlation_s
        self._labels = _filter(knowledge.label_dynamics, correlation_s)
        self._contexts = _filter(knowledge.context_dynamics, correlation_s)
        self._share = self._pairs.share
        self._answered = np.zeros(len(self._pairs.label))
        self._alike = np.zeros(len(self._pairs.label))
        self._rejected_answers = 0

    @property
    def labels(self) -> Floats:
        """The present probability of each label, shape (labels,)."""
        return self._labels.belief

    @property
    def contexts(self) -> Floats:
        """The present probability of each context, shape (contexts,)."""
        return self._contexts.belief

    @property
    def rejected(self) -> int:
        """Scores that were not finite."""
        return self._labels.rejected + self._contexts.rejected + self._rejected_answers

    def predict(self, elapsed_s: float, pace: float = 1.0) -> None:
        """Go on in time by the elapsed seconds without looking."""
        self._labels.predict(elapsed_s, pace)
        self._contexts.predict(elapsed_s, pace)
        self._alike *= math.exp(-elapsed_s / self._weights.correlation_s)

    def see(self, label_scores: Floats, context_scores: Floats, trust: float = 1.0) -> None:
        """Take the scout's scores, of which those that are not finite are left out."""
        self._share = self._pairs.share
        through, anyone = self._through()
        self._agree(through, anyone)
        _, before = self._through()
        self._labels.observe(label_scores, trust=trust)
        through, anyone = self._through()
        self._contexts.observe(context_scores, trust=trust * self._weights.context)
        self._contexts.shift(_odds(anyone) - _odds(before))
        self._agree(through, anyone)

    def _through(self) -> tuple[Floats, Floats]:
        """P(label is there through its context), (pairs,), and P(some label is), (contexts,)."""
        through = self._labels.belief[self._pairs.label] * self._share
        return through, self._pairs.any_of(through)

    def _agree(self, through: Floats, anyone: Floats) -> None:
        """Bring labels into agreement with the contexts, from what `_through` says."""
        pairs = self._pairs
        log_ratio = self._contexts.odds - _odds(anyone)
        ratio = np.exp(np.minimum(np.maximum(log_ratio, -30.0), 30.0))[pairs.context]
        each = anyone[pairs.context]
        others = np.maximum(each - through, 0.0)
        factor = self._share * ratio * (1.0 - through) / (others * ratio + 1.0 - each)
        total = np.maximum(pairs.by_label(factor, len(self._labels.belief)), 1e-12)
        self._labels.shift(np.log(total))
        self._share = factor / total[pairs.label]

    def hear(
        self, adapters: Sequence[int], answers: Sequence[ArrayLike], trust: float = 1.0
    ) -> Mask:
        """Take the adapters' answers: P(label | its context is there).

        Where several adapters know a label, the one whose context is likeliest (times how
        reliable its scores of that label are) has the last word.

        Returns:
            The labels that were answered with a finite score, shape (labels,).
        """
        answered = np.zeros(len(self._labels.belief), dtype=np.bool_)
        if not adapters:
            return answered
        pairs = self._pairs
        chosen = np.asarray(adapters)
        rows = np.concatenate([pairs.rows(adapter) for adapter in adapters])
        sizes = pairs.size[chosen]
        start = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        scores = np.concatenate([np.asarray(answer, dtype=np.float64) for answer in answers])
        usable = np.isfinite(scores)
        self._rejected_answers += int(np.count_nonzero(~usable))
        scores = np.where(usable, scores, pairs.prior[rows])

        label = pairs.label[rows]
        belief = sigmoid(
            self._labels.odds[label] - (1.0 - self._weights.scout) * self._labels.news[label]
        )
        through = belief * self._share[rows]
        here = np.maximum(self._contexts.belief[chosen], np.maximum.reduceat(through, start))
        if_absent = (belief - through) / (1.0 - through)
        there = np.repeat(here, sizes)
        if_there = np.clip((belief - (1.0 - there) * if_absent) / there, 1e-5, 1.0 - 1e-3)

        evidence = trust * evidence_of(scores, self._pair_odds[rows])
        alike = self._alike[rows]
        news = (evidence - alike * self._answered[rows]) / (1.0 + alike)
        answer = sigmoid(logit(if_there) + np.where(usable, news, 0.0))
        self._answered[rows] = np.where(usable, evidence, self._answered[rows])
        self._alike[rows] = np.where(usable, 1.0, alike)
        here = self._presence(here, if_there, answer, start)
        there = np.repeat(here, sizes)
        believed = there * answer + (1.0 - there) * if_absent

        order = np.argsort(there * pairs.reliability[rows], kind="stable")
        self._labels.replace(label[order], believed[order])
        self._contexts.replace(chosen, here)
        answered[label[usable]] = True
        return answered

    @staticmethod
    def _presence(here: Floats, before: Floats, after: Floats, start: NDArray[np.int64]) -> Floats:
        """P(context) when the answers changed its labels' probabilities given that it is there."""
        none_before = np.add.reduceat(np.log1p(-before), start)
        none_after = np.add.reduceat(np.log1p(-np.minimum(after, 1.0 - _SMALL)), start)
        ratio = (np.expm1(none_after) / np.expm1(none_before)) ** _ANSWERS_FOR_CONTEXT
        presence: Floats = here * ratio / (1.0 - here + here * ratio)
        return presence


def _odds(probability: Floats) -> Floats:
    odds: Floats = np.log(probability / (1.0 - probability))
    return odds


def _filter(learned: Dynamics, correlation_s: float) -> TwoStateFilter:
    return TwoStateFilter(learned.prior, learned.appear_hz, learned.vanish_hz, correlation_s)
