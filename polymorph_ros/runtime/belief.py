"""Belief: the probability of each label (or context) over time, from noisy scores.

Each is a two-state process (absent, present) with a rate of appearing and of vanishing, so
between two frames the belief relaxes towards the process's stationary probability by the
elapsed seconds, not by the number of frames.

A score is calibrated, that is, a posterior under the training prior; its evidence is therefore
``logit(score) - logit(prior)``. The errors of neighbouring frames are alike, so counting the
evidence of each in full would make a camera at 30 Hz thirty times as sure as one at 1 Hz. With
errors of first-order autocorrelation ``rho = exp(-dt / tau)`` the new part of the evidence is
``(e[t] - rho * e[t-1]) / (1 + rho)``: a picture that stays tells little more, a change counts at
once. How long errors stay alike (``tau``) is learned from validation sequences.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Beliefs stay between these: a rare label may be very unlikely, but nothing is so sure that a
# few frames could not change it. A single score's evidence is bounded likewise.
LEAST, MOST = 1e-6, 1.0 - 1e-4
_LEAST_ODDS, _MOST_ODDS = math.log(LEAST / (1.0 - LEAST)), math.log(MOST / (1.0 - MOST))
_STRONGEST = 9.0  # log-odds


def logit(probability: Floats) -> Floats:
    """Log-odds of probabilities, clipped so that they stay finite."""
    clipped = np.minimum(np.maximum(probability, LEAST), 1.0 - LEAST)
    odds: Floats = np.log(clipped / (1.0 - clipped))
    return odds


def evidence_of(scores: Floats, prior_odds: Floats) -> Floats:
    """What calibrated scores say beyond the log-odds of the training prior, bounded."""
    beyond = logit(scores) - prior_odds
    evidence: Floats = np.minimum(np.maximum(beyond, -_STRONGEST), _STRONGEST)
    return evidence


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
        self._odds: Floats = self._predicted.copy()
        self._evidence: Floats = np.zeros_like(self._predicted)
        self._explained: Floats = np.zeros_like(self._predicted)
        self._belief: Floats = prior.astype(np.float64)
        self._alike = np.zeros_like(self._predicted)
        self._observed = np.zeros(len(prior), dtype=np.bool_)
        self.rejected = 0

    @property
    def belief(self) -> Floats:
        """The present probabilities, shape (n,)."""
        return self._belief

    @property
    def odds(self) -> Floats:
        """The same as log-odds, shape (n,)."""
        return self._odds

    @property
    def news(self) -> Floats:
        """Log-odds that the last scores added to what was predicted, shape (n,)."""
        news: Floats = (self._evidence - self._explained) / (1.0 + self._alike)
        return news

    def predict(self, elapsed_s: float, pace: float = 1.0) -> None:
        """Go on in time by the elapsed seconds (not negative) without looking.

        `pace` is how fast things change meanwhile, as a share of the usual rates.
        """
        keep = np.exp(-self._rate * elapsed_s * pace)
        self._belief = self._stationary + (self._belief - self._stationary) * keep
        self._predicted = logit(self._belief)
        self._odds = self._predicted.copy()
        # The first score has none before it that its errors could be like.
        self._alike = self._observed * math.exp(-elapsed_s / self._correlation_s)
        self._explained = self._evidence * self._alike
        self._evidence = self._explained.copy()

    def observe(self, scores: Floats, where: Mask | None = None, *, trust: float = 1.0) -> None:
        """Take calibrated scores of this frame, shape (n,), for all or where the mask says.

        `trust` is the share of their evidence that counts: 0 leaves the belief as predicted.

        A later call in the same frame replaces an earlier one: the scores of one picture are
        not independent. Scores that are not finite are left out and counted in ``rejected``.
        """
        take = np.isfinite(scores)
        if where is not None or not take.all():
            wanted = np.ones_like(take) if where is None else where
            self.rejected += int(np.count_nonzero(wanted & ~take))
            take = wanted & take
            scores = np.where(take, scores, 0.5)
        evidence = trust * evidence_of(scores, self._prior_odds)
        self._evidence = np.where(take, evidence, self._evidence)
        self._observed = self._observed | take
        self._put(np.where(take, self._predicted + self.news, self._odds))

    def shift(self, log_odds: Floats) -> None:
        """Take what is known from elsewhere, as log-odds for each, shape (n,)."""
        self._predicted = self._predicted + log_odds
        self._put(self._odds + log_odds)

    def replace(self, indices: NDArray[np.int64], belief: Floats) -> None:
        """Believe otherwise of some of them."""
        self._belief[indices] = np.clip(belief, LEAST, MOST)
        self._odds[indices] = logit(self._belief[indices])

    def _put(self, odds: Floats) -> None:
        self._odds = np.minimum(np.maximum(odds, _LEAST_ODDS), _MOST_ODDS)
        self._belief = sigmoid(self._odds)
