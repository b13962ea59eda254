"""Belief of labels and contexts together: each context is there or not, each label goes with one.

A label that is present has come through one of its contexts, so a context is there exactly when
one of its labels has come through it. Two families of filters run in time, one for labels and one
for contexts; in each frame they are brought into agreement, in both directions:

- A context's odds are multiplied by what the labels' scores did to the odds of ``A``, that any of
  its labels is there through it, and by the evidence of the scout's context score.
- A label's odds are multiplied by ``sum_c w_c f_c`` over its contexts, with ``w_c`` the share of c
  in the label and ``f_c = 1 / (1 - N + N / Q)``, where ``N`` is that no other label is there
  through c, and ``Q`` what is known of the context besides its labels. That is Bayes' rule when
  labels are independent.

An adapter's score holds given that its context is there, where the label has the prior of that
context's frames. So P(label) = P(context) P(label | context, answer) + the rest: what is believed
of the label if the context is not there. The derivation is in ``docs/belief.md``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from polymorph_ros.arrays import Floats, Indices, Mask
from polymorph_ros.runtime.belief import (
    Evidence,
    TwoStateFilter,
    bounded,
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
        self._pairs, self._weights = knowledge.pairs, knowledge.weights
        labels, contexts = knowledge.label_dynamics, knowledge.context_dynamics
        # One filter holds both, labels first: a call of NumPy costs more than what it computes.
        prior = np.concatenate([labels.prior, contexts.prior])
        rates_hz = np.concatenate([labels.rate_hz, contexts.rate_hz])
        weights = knowledge.weights
        self._time = TwoStateFilter(prior, rates_hz, weights.correlation_s, weights.smoothing_s)
        self._label_part = slice(0, len(labels.prior))
        self._context_part = slice(len(labels.prior), None)
        self._of_scores, self._of_answers = Evidence(prior), Evidence(self._pairs.prior)
        self._trusts = np.ones(len(prior))
        self._trusts[self._context_part] = weights.context
        self._prior_gap = self._gap(self._time.memory)
        self._evidence: Floats = np.zeros(len(prior))
        self._taken = np.zeros(len(prior), np.bool_)
        self._odds: Floats = self._time.memory.copy()
        self._share = self._pairs.share
        self._asked = _Asked((), self._pairs, self._of_answers)
        self.rejected = 0  # scores that were not finite

    @property
    def labels(self) -> Floats:
        """The present probability of each label, shape (labels,); it holds until the next call."""
        return self._time.belief[self._label_part]

    @property
    def contexts(self) -> Floats:
        """The present probability of each context, shape (contexts,), likewise."""
        return self._time.belief[self._context_part]

    def predict(self, elapsed_s: float, pace: float = 1.0) -> None:
        """Go on in time by the elapsed seconds without a score."""
        self._time.predict(elapsed_s, pace)

    def update_from_scout(
        self, label_scores: ArrayLike, context_scores: ArrayLike, trust: float = 1.0
    ) -> Mask:
        """Take the scout's scores, of which those that are not finite are left out.

        Returns:
            The labels with a finite score, shape (labels,).
        """
        scores = np.concatenate([label_scores, context_scores], dtype=np.float64)
        taken = np.isfinite(scores)
        self.rejected += len(scores) - int(np.count_nonzero(taken))
        evidence = self._of_scores.of(scores) * (self._trusts * trust)
        self._evidence = np.where(taken, evidence, 0.0)
        labels = taken[self._label_part]
        taken[self._context_part] |= labels.any()  # labels tell of contexts, too
        self._taken = taken
        self._scouted(self._time.memory)
        self._time.observe(self._odds, taken)
        return labels

    def _scouted(self, before: Floats) -> None:
        """Bring labels and contexts into agreement, from the odds before this frame."""
        pairs, weights = self._pairs, self._weights
        self._odds = odds = before * np.exp(self._evidence)
        labels, contexts = odds[self._label_part], odds[self._context_part]
        through = probability_of(labels)[pairs.label] * pairs.share
        anyone = pairs.any_of(through)
        contexts *= odds_of(anyone) / self._anyone(before)
        # What is known of each context besides what its labels say.
        besides = np.exp(self._evidence[self._context_part])
        besides *= self._gap(before) / self._prior_gap
        # That none of the context's other labels is there: both bounds keep it a probability.
        none = (1.0 - anyone)[pairs.context] / np.maximum(1.0 - through, _SMALL)
        none = np.minimum(none, 1.0)
        factor = pairs.share / (1.0 - none + none / besides[pairs.context])
        total = pairs.by_label(factor, len(labels))
        labels *= total**weights.cooccurrence
        self._share = factor / total[pairs.label]

    def _anyone(self, odds: Floats) -> Floats:
        """The odds that some label is there because of each context, shape (contexts,)."""
        labels = probability_of(odds[self._label_part])
        return odds_of(self._pairs.any_of(labels[self._pairs.label] * self._pairs.share))

    def _gap(self, odds: Floats) -> Floats:
        """By how much the odds of contexts exceed those of their labels, as a factor."""
        gap: Floats = odds[self._context_part] / self._anyone(odds)
        return gap

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
        scores = np.concatenate(answers, dtype=np.float64)
        usable = np.isfinite(scores)
        self.rejected += len(scores) - int(np.count_nonzero(usable))
        evidence = np.where(usable, trust * asked.evidence.of(scores), 0.0)
        label, share = asked.label, self._share[asked.rows]
        contexts = probability_of(self._odds[self._context_part])
        unscouted = np.exp((self._weights.scout - 1.0) * self._evidence[label])
        belief = probability_of(self._odds[label] * unscouted)
        through = belief * share
        here = np.maximum(contexts[asked.contexts], np.maximum.reduceat(through, asked.start))
        if_absent = (belief - through) / (1.0 - through)
        there = here.repeat(asked.size)
        if_there = (belief - (1.0 - there) * if_absent) / there
        if_there = np.minimum(np.maximum(if_there, 1e-5), 1.0 - 1e-3)
        answer = probability_of(odds_of(if_there) * np.exp(evidence))
        here = self._presence(here, if_there, answer, asked.start)
        there = here.repeat(asked.size)
        believed = there * answer + (1.0 - there) * if_absent

        order = (there * asked.reliability).argsort(kind="stable")
        self._replace(label[order], believed[order])
        self._replace(asked.contexts + self._label_part.stop, here)
        self._time.observe(self._odds, self._taken)
        answered: Indices = label[usable]
        return answered

    def _replace(self, places: Indices, belief: Floats) -> None:
        """Believe otherwise of some of them in this frame."""
        self._odds[places] = odds_of(bounded(belief))
        self._taken[places] = True

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
