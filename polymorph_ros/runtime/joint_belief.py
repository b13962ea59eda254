"""Belief of labels and contexts together: each context is there or not, each label goes with one.

A label that is present has come through one of its contexts, so a context is there exactly when
one of its labels has come through it. Two families of filters run in time, one for labels and one
for contexts; in each frame they are brought into agreement, in both directions:

- P(context) follows from the context's own filter, the scout's context score and the labels seen.
- A label's odds are multiplied by ``sum_c w_c f_c`` over its contexts, with ``w_c`` the share of c
  in the label and ``f_c = (1 - v) / (A / P - v)``, where ``P`` is the context's probability, ``v``
  that the label is there through c, and ``A`` that any label is, before they agree. That is
  Bayes' rule when labels are independent.

An adapter's score holds given that its context is there, where the label has the prior of that
context's frames. So P(label) = P(context) P(label | context, answer) + the rest: what is believed
of the label if the context is not there. The derivation is in ``docs/belief.md``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from polymorph_ros.arrays import Floats, Indices, Mask
from polymorph_ros.runtime.belief import (
    Evidence,
    TwoStateFilter,
    odds_of,
    probability_of,
)
from polymorph_ros.runtime.knowledge import Knowledge
from polymorph_ros.runtime.pairs import Pairs

_SMALL = 1e-7


class JointBelief:
    """Beliefs of one camera's labels and contexts.

    Args:
        knowledge: what training taught.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self._pairs = knowledge.pairs
        self._weights = knowledge.weights
        labels, contexts = knowledge.label_dynamics, knowledge.context_dynamics
        # One filter holds both, labels first: a call of NumPy costs more than what it computes.
        self._both = TwoStateFilter(
            np.concatenate([labels.prior, contexts.prior]),
            np.concatenate([labels.appear_hz, contexts.appear_hz]),
            np.concatenate([labels.vanish_hz, contexts.vanish_hz]),
            knowledge.weights.correlation_s,
        )
        self._label_part = slice(0, len(labels.prior))
        self._context_part = slice(len(labels.prior), None)
        self._trusts = np.ones(len(labels.prior) + len(contexts.prior))
        self._trusts[self._context_part] = knowledge.weights.context
        self._share = self._pairs.share
        self._answered = np.zeros(len(self._pairs.label))
        self._alike = np.zeros(len(self._pairs.label))
        self._rejected_answers = 0
        self._of_answers = Evidence(self._pairs.prior)
        self._asked = _Asked((), self._pairs, self._of_answers)

    @property
    def labels(self) -> Floats:
        """The present probability of each label, shape (labels,); it holds until the next call."""
        return self._both.belief[self._label_part]

    @property
    def contexts(self) -> Floats:
        """The present probability of each context, shape (contexts,), likewise."""
        return self._both.belief[self._context_part]

    @property
    def rejected(self) -> int:
        """Scores that were not finite."""
        return self._both.rejected + self._rejected_answers

    def predict(self, elapsed_s: float, pace: float = 1.0) -> None:
        """Go on in time by the elapsed seconds without a score."""
        self._both.predict(elapsed_s, pace)
        self._alike *= math.exp(-elapsed_s / self._weights.correlation_s)

    def update_from_scout(
        self, label_scores: ArrayLike, context_scores: ArrayLike, trust: float = 1.0
    ) -> Mask:
        """Take the scout's scores, of which those that are not finite are left out.

        Returns:
            The labels with a finite score, shape (labels,).
        """
        self._share = self._pairs.share
        self._agree(*self._through())
        _, before = self._through()
        scores = np.concatenate([label_scores, context_scores], dtype=np.float64)
        taken = self._both.observe(scores, trust=self._trusts * trust)
        through, anyone = self._through()
        self._both.multiply(self._context_part, odds_of(anyone) / odds_of(before))
        self._agree(through, anyone)
        return taken[self._label_part]

    def _through(self) -> tuple[Floats, Floats]:
        """P(label is there through its context), (pairs,), and P(some label is), (contexts,)."""
        through = self.labels[self._pairs.label] * self._share
        return through, self._pairs.any_of(through)

    def _agree(self, through: Floats, anyone: Floats) -> None:
        """Bring labels into agreement with the contexts, from what `_through` says."""
        pairs = self._pairs
        bound = (anyone / self.contexts)[pairs.context]
        factor = self._share * (1.0 - through) / (bound - through)
        total = pairs.by_label(factor, len(self.labels))
        cooccurrence = self._weights.cooccurrence
        self._both.multiply(self._label_part, total if cooccurrence == 1.0 else total**cooccurrence)
        self._share = factor / total[pairs.label]

    def update_from_adapters(
        self, adapters: tuple[int, ...], answers: Sequence[ArrayLike], trust: float = 1.0
    ) -> Indices:
        """Take the adapters' answers: P(label | its context is there).

        Where several adapters know a label, the one whose context is likeliest (times how
        reliable its scores of that label are) has the last word.

        Returns:
            The labels that were answered with a finite score; one may be named twice.
        """
        if not adapters:
            return np.zeros(0, dtype=np.int64)
        if adapters != self._asked.adapters:
            self._asked = _Asked(adapters, self._pairs, self._of_answers)
        asked = self._asked
        rows, label = asked.rows, asked.label
        scores = np.concatenate(answers, dtype=np.float64)
        usable = np.isfinite(scores)
        self._rejected_answers += len(scores) - int(np.count_nonzero(usable))

        contexts = self.contexts
        unscouted = np.exp((self._weights.scout - 1.0) * self._both.news[label])
        belief = probability_of(self._both.odds[label] * unscouted)
        through = belief * self._share[rows]
        here = np.maximum(contexts[asked.contexts], np.maximum.reduceat(through, asked.start))
        if_absent = (belief - through) / (1.0 - through)
        there = here.repeat(asked.size)
        if_there = (belief - (1.0 - there) * if_absent) / there
        if_there = np.minimum(np.maximum(if_there, 1e-5), 1.0 - 1e-3)

        alike = self._alike[rows]
        explained = alike * self._answered[rows]
        evidence = np.where(usable, trust * asked.evidence.of(scores), explained)
        news = (evidence - explained) / (1.0 + alike)
        answer = probability_of(odds_of(if_there) * np.exp(news))
        self._answered[rows] = np.where(usable, evidence, self._answered[rows])
        self._alike[rows] = np.where(usable, 1.0, alike)
        here = self._presence(here, if_there, answer, asked.start)
        there = here.repeat(asked.size)
        believed = there * answer + (1.0 - there) * if_absent

        order = (there * asked.reliability).argsort(kind="stable")
        self._both.replace(label[order], believed[order])
        self._both.replace(asked.contexts + len(self.labels), here)
        answered: Indices = label[usable]
        return answered

    def _presence(self, here: Floats, before: Floats, after: Floats, start: Indices) -> Floats:
        """P(context) when the answers changed its labels' probabilities given that it is there."""
        none_before = np.add.reduceat(np.log1p(-before), start)
        none_after = np.add.reduceat(np.log1p(-np.minimum(after, 1.0 - _SMALL)), start)
        ratio = (np.expm1(none_after) / np.expm1(none_before)) ** self._weights.answers
        presence: Floats = here * ratio / (1.0 - here + here * ratio)
        return presence


class _Asked:
    """The rows of the adapters that answer, laid out one after another; they seldom change."""

    def __init__(self, adapters: tuple[int, ...], pairs: Pairs, of_answers: Evidence) -> None:
        self.adapters = adapters
        self.contexts = np.array(adapters, dtype=np.int64)
        self.size = pairs.size[self.contexts]
        self.start = self.size.cumsum() - self.size
        self.rows = np.concatenate([np.zeros(0, np.int64), *map(pairs.rows, adapters)])
        self.label = pairs.label[self.rows]
        self.reliability = pairs.reliability[self.rows]
        self.evidence = of_answers.take(self.rows)
