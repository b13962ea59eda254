"""Belief: the probability of each label (or context) over time, from noisy scores.

Each is a two-state process (absent, present) with a rate of appearing and of vanishing, so
between two frames the belief relaxes towards the process's stationary probability by the
elapsed seconds, not by the number of frames.

A score is calibrated, that is, a posterior under the training prior; its evidence is therefore
``logit(score) - logit(prior)``. The errors of neighbouring frames are correlated, so counting the
evidence of each in full would make a camera at 30 Hz thirty times as sure as one at 1 Hz. With
errors of first-order autocorrelation ``rho = exp(-dt / tau)`` the new part of the evidence is
``(e[t] - rho * e[t-1]) / (1 + rho)``: a picture that stays adds little, a change counts at
once. How long errors stay correlated (``tau``) is learned from validation sequences.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.arrays import Floats, Mask

# Beliefs stay between these: a rare label may be very unlikely, but nothing is so sure that a
# few frames could not change it. A single score's evidence is bounded likewise.
LEAST, MOST = 1e-6, 1.0 - 1e-4
_STRONGEST = 9.0  # log-odds


def logit(probability: Floats) -> Floats:
    """Log-odds of probabilities, clipped so that they stay finite."""
    clipped = np.minimum(np.maximum(probability, LEAST), 1.0 - LEAST)
    log_odds: Floats = np.log(clipped / (1.0 - clipped))
    return log_odds


def sigmoid(log_odds: Floats) -> Floats:
    """Probability of log-odds."""
    probability: Floats = 1.0 / (1.0 + np.exp(-log_odds))
    return probability


def odds_of(probability: Floats) -> Floats:
    """Odds of probabilities inside (0, 1)."""
    odds: Floats = probability / (1.0 - probability)
    return odds


def probability_of(odds: Floats) -> Floats:
    """Probability of odds."""
    probability: Floats = odds / (1.0 + odds)
    return probability


class Evidence:
    """What calibrated scores say beyond the training prior, as bounded log-odds.

    Args:
        prior: the training prior of each score, shape (n,).
    """

    def __init__(self, prior: Floats) -> None:
        self._prior_log_odds = logit(prior)
        # Evidence is bounded where the score is: that is one pair of bounds instead of two.
        self._lowest = np.maximum(sigmoid(self._prior_log_odds - _STRONGEST), LEAST)
        self._highest = np.minimum(sigmoid(self._prior_log_odds + _STRONGEST), 1.0 - LEAST)

    def of(self, scores: Floats) -> Floats:
        """Log-odds, shape (n,); NaN where the score is."""
        bounded = np.minimum(np.maximum(scores, self._lowest), self._highest)
        evidence: Floats = np.log(odds_of(bounded)) - self._prior_log_odds
        return evidence

    def take(self, rows: NDArray[np.int64]) -> Evidence:
        """The same for some of the scores."""
        some = Evidence.__new__(Evidence)
        for name, values in vars(self).items():
            setattr(some, name, values[rows])
        return some


class TwoStateFilter:
    """Beliefs of many independent two-state processes.

    Beliefs and odds are changed in place: what those properties return holds until the next call.

    Args:
        prior: share of time in which each is present, shape (n,), in (0, 1).
        appear_hz: rate of appearing while absent, 1/s, shape (n,).
        vanish_hz: rate of vanishing while present, 1/s, shape (n,).
        correlation_s: how long the errors of scores stay correlated, seconds.
    """

    def __init__(
        self, prior: Floats, appear_hz: Floats, vanish_hz: Floats, correlation_s: float
    ) -> None:
        self._of_scores = Evidence(prior)
        self._rate = appear_hz + vanish_hz
        self._stationary = np.clip(appear_hz / self._rate, LEAST, 1.0 - LEAST)
        self._correlation_s = correlation_s
        self._belief: Floats = np.clip(prior.astype(np.float64), LEAST, 1.0 - LEAST)
        self._predicted = odds_of(self._belief)
        self._odds: Floats = self._predicted.copy()
        self._evidence: Floats = np.zeros_like(self._odds)
        self._explained: Floats = np.zeros_like(self._odds)
        self._news: Floats = np.zeros_like(self._odds)
        self._alike = np.zeros_like(self._odds)
        self._observed = np.zeros_like(self._odds)  # 1 where a score has been taken
        # As arrays: NumPy compares two arrays twice as fast as an array and a number.
        self._least_odds = np.full_like(self._odds, LEAST / (1.0 - LEAST))
        self._most_odds = np.full_like(self._odds, MOST / (1.0 - MOST))
        self.rejected = 0

    @property
    def belief(self) -> Floats:
        """The present probabilities, shape (n,)."""
        return self._belief

    @property
    def odds(self) -> Floats:
        """The same as odds, shape (n,)."""
        return self._odds

    @property
    def news(self) -> Floats:
        """Log-odds that the last scores added to what was predicted, shape (n,)."""
        return self._news

    def predict(self, elapsed_s: float, pace: float = 1.0) -> None:
        """Go on in time by the elapsed seconds (not negative) without a score.

        `pace` is how fast things change meanwhile, as a share of the usual rates.
        """
        self._belief -= self._stationary
        self._belief *= np.exp(self._rate * (-elapsed_s * pace))
        self._belief += self._stationary
        self._predicted = odds_of(self._belief)
        self._odds[:] = self._predicted
        # The first score has none before it that its errors could be like.
        self._alike = self._observed * math.exp(-elapsed_s / self._correlation_s)
        self._explained = self._evidence * self._alike
        self._evidence = self._explained
        self._news = np.zeros_like(self._news)

    def observe(
        self, scores: Floats, where: Mask | None = None, *, trust: float | Floats = 1.0
    ) -> Mask:
        """Take calibrated scores of this frame, shape (n,), for all or where the mask says.

        `trust` is the share of their evidence that counts: 0 leaves the belief as predicted.

        A later call in the same frame replaces an earlier one: the scores of one picture are
        not independent. Scores that are not finite are left out and counted in ``rejected``.

        Returns:
            Which scores were taken, shape (n,).
        """
        take: Mask = np.isfinite(scores)
        evidence = self._of_scores.of(scores)
        evidence *= trust
        if where is None and np.count_nonzero(take) == len(take):
            self._evidence, self._observed = evidence, np.ones_like(evidence)
        else:
            wanted = np.ones_like(take) if where is None else where
            self.rejected += int(np.count_nonzero(wanted & ~take))
            take = wanted & take
            self._evidence = np.where(take, evidence, self._evidence)
            self._observed = np.where(take, 1.0, self._observed)
        self._news = (self._evidence - self._explained) / (1.0 + self._alike)
        self._put(slice(None), self._predicted * np.exp(self._news))
        return take

    def multiply(self, part: slice, factor: Floats) -> None:
        """Multiply the odds of a part by what is known from elsewhere."""
        predicted = self._predicted[part]
        predicted *= factor
        self._put(part, self._odds[part] * factor)

    def replace(self, indices: NDArray[np.int64], belief: Floats) -> None:
        """Believe otherwise of some of them."""
        bounded = np.minimum(np.maximum(belief, LEAST), MOST)
        self._belief[indices] = bounded
        self._odds[indices] = odds_of(bounded)

    def _put(self, part: slice, odds: Floats) -> None:
        above = np.maximum(odds, self._least_odds[part])
        bounded = np.minimum(above, self._most_odds[part], out=self._odds[part])
        np.divide(bounded, 1.0 + bounded, out=self._belief[part])
