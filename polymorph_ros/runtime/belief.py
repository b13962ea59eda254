"""Belief: the probability of each label (or context) over time, from noisy scores.

Each is a two-state process (absent, present) that changes at a rate learned from training, so
between two frames what is remembered relaxes towards the prior by the elapsed seconds, not by the
number of frames. Scores are calibrated: posteriors under that prior. What a frame adds is therefore
the ratio of the odds that its scores make to those before.

A frame's own scores count in full. What earlier frames say counts as far as their errors are
independent of this frame's: with errors of first-order autocorrelation ``rho = exp(-dt / tau)``, a
score that is ``dt`` old leaves the share ``(1 - rho) / (1 + 3 rho)`` of its evidence to memory. In
the likelihood ratio of a long series the inner scores have ``(1 - rho) / (1 + rho)`` and the last
one half; as the last counts in full here, the others get down to half. Errors that outlast what
they are about cannot be told from it: at a rate of change ``r`` the share is multiplied by
``1 - (r tau)^2`` or 0, as in the best linear estimate. So a constant score is never believed less
than it says, and as ``tau`` grows each frame stands for itself. Before all that, scores may be
averaged over a short time, which takes their flicker away.
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


def bounded(probability: Floats) -> Floats:
    """Probabilities as near to 0 and 1 as a belief may be."""
    between: Floats = np.minimum(np.maximum(probability, LEAST), MOST)
    return between


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

    Beliefs are changed in place: what the property returns holds until the next call.

    Args:
        prior: share of frames in which each is present, shape (n,), in (0, 1).
        rate_hz: appearing and vanishing together, changes per second, shape (n,).
        correlation_s: how long the errors of scores stay correlated, seconds; infinite: earlier
            scores say nothing.
        smoothing_s: time constant of the mean that is taken of scores, seconds; 0: none.
    """

    def __init__(
        self, prior: Floats, rate_hz: Floats, correlation_s: float, smoothing_s: float = 0.0
    ) -> None:
        self._prior: Floats = np.clip(prior.astype(np.float64), LEAST, MOST)
        self._prior_odds = odds_of(self._prior)
        self._rate_hz = rate_hz
        self._correlation_s, self._smoothing_s = correlation_s, smoothing_s
        self._remembers = math.isfinite(correlation_s)
        overlap = rate_hz * correlation_s if self._remembers else np.ones_like(rate_hz)
        self._independent = np.maximum(1.0 - overlap**2, 0.0)
        self._memory = self._prior_odds
        self._belief: Floats = self._prior.copy()
        self._evidence: Floats = np.zeros_like(self._prior)  # of the last scores, log-odds
        self._mean: Floats = self._prior.copy()  # of scores
        self._earlier: Floats = self._mean  # the same before this frame
        self._weight = np.zeros_like(self._prior)  # of earlier scores in the mean
        self._next_weight = self._weight

    @property
    def belief(self) -> Floats:
        """The present probabilities, shape (n,)."""
        return self._belief

    @property
    def memory(self) -> Floats:
        """The odds before this frame's scores, by what earlier ones said, shape (n,)."""
        return self._memory

    def predict(self, elapsed_s: float, pace: float = 1.0) -> None:
        """Go on in time by the elapsed seconds (not negative) without a score.

        `pace` is how fast things change meanwhile, as a share of the usual rates.
        """
        stays = np.exp(self._rate_hz * (-elapsed_s * pace))
        self._belief[:] = self._relaxed(self._belief, stays)
        if self._remembers:
            alike = math.exp(-elapsed_s / self._correlation_s)
            news = self._independent * ((1.0 - alike) / (1.0 + 3.0 * alike))
            remembered = probability_of(self._memory * np.exp(news * self._evidence))
            self._memory = odds_of(self._relaxed(remembered, stays))
            self._evidence = np.log(odds_of(self._belief) / self._memory)
        if self._smoothing_s:
            self._weight = self._next_weight * math.exp(-elapsed_s / self._smoothing_s)
            self._earlier, self._next_weight = self._mean, self._weight

    def observe(self, odds: Floats, where: Mask) -> None:
        """Take what this frame's scores make of ``memory``, for those that the mask names.

        A later call in the same frame replaces an earlier one: the scores of one picture are
        not independent.

        Args:
            odds: shape (n,), above 0.
            where: shape (n,).
        """
        if self._smoothing_s:
            odds = self._smoothed(odds, where)
        if self._remembers:
            self._evidence = np.where(where, np.log(odds / self._memory), self._evidence)
        np.copyto(self._belief, bounded(probability_of(odds)), where=where)

    def _smoothed(self, odds: Floats, where: Mask) -> Floats:
        """The odds that the mean of the last scores makes of memory."""
        scores = bounded(probability_of(odds / self._memory * self._prior_odds))
        mean = scores + self._weight * (self._earlier - scores)
        self._mean = np.where(where, mean, self._earlier)
        self._next_weight = np.where(where, 1.0, self._weight)
        smoothed: Floats = self._memory * (odds_of(mean) / self._prior_odds)
        return smoothed

    def _relaxed(self, belief: Floats, stays: Floats) -> Floats:
        """A belief after some time, of which the share `stays` is not forgotten."""
        return bounded(self._prior + (belief - self._prior) * stays)
