"""A filter that takes scores, as a joint belief feeds it where nothing else is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from polymorph_ros.runtime.belief import Evidence, TwoStateFilter


class ScoreFilter(TwoStateFilter):
    """Scores that are not finite are left out."""

    def __init__(
        self,
        prior: NDArray[np.float64],
        rate_hz: NDArray[np.float64],
        correlation_s: float,
        smoothing_s: float = 0.0,
    ) -> None:
        super().__init__(prior, rate_hz, correlation_s, smoothing_s)
        self._evidence_of = Evidence(prior)

    def take(self, scores: ArrayLike, trust: float = 1.0) -> None:
        scores = np.asarray(scores, dtype=np.float64)
        taken = np.isfinite(scores)
        evidence = np.where(taken, trust * self._evidence_of.of(scores), 0.0)
        self.observe(self.memory * np.exp(evidence), taken)
