"""Belief: the probability of each label (or context) over time, from noisy scores.

Each is a two-state process (absent, present) with a rate of appearing and of vanishing, so
between two frames the belief relaxes towards the process's stationary probability by the
elapsed seconds, not by the number of frames.

A score is calibrated, that is, a posterior under the training prior; its evidence is therefore
``logit(score) - logit(prior)``. The errors of neighbouring frames are alike, so counting the
evidence of each in full would make a camera at 30 Hz thirty times as sure as one at 1 Hz. With
errors of first-order autocorrelation ``rho = exp(-dt / tau)`` the new part of the evidence is
``e[t] - rho * e[t-1]``: a picture that stays tells little more, a change counts in full at once.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_FLOOR = 1e-4  # no single score is surer than this, and no belief ever leaves logit(+-_FLOOR)


def logit(probability: Floats) -> Floats:
    """Log-odds of probabilities, clipped so that they stay finite."""
    clipped = np.clip(probability, _FLOOR, 1.0 - _FLOOR)
    odds: Floats = np.log(clipped / (1.0 - clipped))
    return odds


def sigmoid(log_odds: Floats) -> Floats:
    """Probability of log-odds."""
    probability: Floats = 1.0 / (1.0 + np.exp(-log_odds))
    return probability


class TwoStateFilter:
    """Beliefs of many independent two-state processes.

    Args:
        prior: share of time in which each is present, shape (n,), in (0, 1).
        appear_hz: rate of appearing while absent, 1/s, shape (n,).
        vanish_hz: rate of vanishing while present, 1/s, shape (n,).
        correlation_s: how long the errors of scores stay alike, seconds.
    """

    def __init__(
        self, prior: Floats, appear_hz: Floats, vanish_hz: Floats, correlation_s: float
    ) -> None:
        self._prior_odds = logit(prior)
        self._rate = appear_hz + vanish_hz
        self._stationary = appear_hz / self._rate
        self._correlation_s = correlation_s
        self._predicted = self._prior_odds.copy()
        self._evidence = np.zeros_like(self._predicted)
        self._explained = np.zeros_like(self._predicted)
        self._belief: Floats = prior.astype(np.float64)
        self.rejected = 0

    @property
    def belief(self) -> Floats:
        """The present probabilities, shape (n,)."""
        return self._belief

    def predict(self, elapsed_s: float, pace: float = 1.0) -> None:
        """Go on in time by the elapsed seconds (not negative) without looking.

        `pace` is how fast things change meanwhile, as a share of the usual rates.
        """
        keep = np.exp(-self._rate * elapsed_s * pace)
        self._belief = self._stationary + (self._belief - self._stationary) * keep
        self._predicted = logit(self._belief)
        self._explained = self._evidence * math.exp(-elapsed_s / self._correlation_s)
        self._evidence = self._explained.copy()

    def observe(self, scores: Floats, where: Mask | None = None, *, trust: float = 1.0) -> None:
        """Take calibrated scores of this frame, shape (n,), for all or where the mask says.

        `trust` is the share of their evidence that counts: 0 leaves the belief as predicted.

        A later call in the same frame replaces an earlier one: the scores of one picture are
        not independent. Scores that are not finite are left out and counted in ``rejected``.
        """
        usable = np.isfinite(scores)
        wanted = np.ones_like(usable) if where is None else where
        self.rejected += int(np.count_nonzero(wanted & ~usable))
        take = wanted & usable
        evidence = trust * (logit(scores[take]) - self._prior_odds[take])
        self._evidence[take] = evidence
        odds = self._predicted[take] + evidence - self._explained[take]
        self._belief[take] = np.clip(sigmoid(odds), _FLOOR, 1.0 - _FLOOR)
