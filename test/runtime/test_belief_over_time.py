"""Pins that time never costs accuracy where the world is as the belief takes it to be.

Truth and scores are simulated from the belief's own model: two-state labels, calibrated scores
whose errors are autocorrelated, 0.01 to 30 frames per second, even and uneven stamps. Filtered
beliefs have no larger log loss and no smaller average precision than the scores alone.

Open: real scores, whose errors have other shapes; there training compares on held-out sequences.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from helpers.score_filter import ScoreFilter
from polymorph_ros.runtime.belief import logit, sigmoid

Floats = NDArray[np.float64]

_LABELS, _FRAMES = 200, 150
_LOG_LOSS_NOISE, _PRECISION_NOISE = 1.003, 0.003


def simulated(
    gaps_s: Floats, prior: float, rate_hz: float, separation: float, correlation_s: float
) -> tuple[NDArray[np.bool_], Floats]:
    """Truth and calibrated scores, each (frames, labels)."""
    rng = np.random.default_rng(0)
    truth = np.zeros((_FRAMES, _LABELS), np.bool_)
    truth[0] = rng.random(_LABELS) < prior
    noise = rng.standard_normal(truth.shape)
    for row in range(1, _FRAMES):
        stays = np.exp(-rate_hz * gaps_s[row])
        truth[row] = rng.random(_LABELS) < prior + (truth[row - 1] - prior) * stays
        alike = np.exp(-gaps_s[row] / correlation_s)
        noise[row] = alike * noise[row - 1] + np.sqrt(1.0 - alike**2) * noise[row]
    evidence = separation**2 * (truth - 0.5) + separation * noise
    return truth, np.clip(sigmoid(logit(np.full(_LABELS, prior)) + evidence), 1e-6, 1.0 - 1e-4)


def filtered(gaps_s: Floats, scores: Floats, prior: float, rate_hz: float, *how: float) -> Floats:
    """The beliefs after each frame."""
    belief = ScoreFilter(np.full(_LABELS, prior), np.full(_LABELS, rate_hz), *how)
    beliefs = np.empty_like(scores)
    for row, gap_s in enumerate(gaps_s.tolist()):
        if row:
            belief.predict(gap_s)
        belief.take(scores[row])
        beliefs[row] = belief.belief
    return beliefs


def log_loss(said: Floats, truth: NDArray[np.bool_]) -> float:
    return float(-np.log(np.where(truth, said, 1.0 - said)).mean())


def gaps(hz: float, uneven: bool) -> Floats:
    rng = np.random.default_rng(1)
    return rng.exponential(1.0 / hz, _FRAMES) if uneven else np.full(_FRAMES, 1.0 / hz)


@pytest.mark.parametrize("uneven", [False, True])
@pytest.mark.parametrize("hz", [0.01, 0.1, 1.0, 5.0, 30.0])
@pytest.mark.parametrize("correlation_s", [0.3, 3.0])
@pytest.mark.parametrize(("prior", "separation"), [(0.05, 2.5), (0.3, 1.0), (0.3, 2.5)])
def test_filtering_costs_nothing_at_any_rate(
    hz: float, uneven: bool, correlation_s: float, prior: float, separation: float
) -> None:
    for rate_hz in (0.01, 0.1, 1.0):
        gaps_s = gaps(hz, uneven)
        truth, scores = simulated(gaps_s, prior, rate_hz, separation, correlation_s)

        beliefs = filtered(gaps_s, scores, prior, rate_hz, correlation_s)

        assert log_loss(beliefs, truth) <= _LOG_LOSS_NOISE * log_loss(scores, truth)
        before, after = (
            average_precision_score(truth.ravel(), said.ravel()) for said in (scores, beliefs)
        )
        assert after >= before - _PRECISION_NOISE


def test_filtering_pays_where_errors_are_short() -> None:
    gaps_s = gaps(1.0, uneven=True)
    truth, scores = simulated(gaps_s, 0.3, 0.05, 1.0, 0.3)

    beliefs = filtered(gaps_s, scores, 0.3, 0.05, 0.3)

    assert log_loss(beliefs, truth) < 0.7 * log_loss(scores, truth)


def test_a_constant_score_is_never_believed_less_than_it_says() -> None:
    for hz in (0.01, 1.0, 30.0):
        for correlation_s in (0.1, 3.0, 100.0):
            scores = np.full((_FRAMES, _LABELS), 0.9)

            beliefs = filtered(gaps(hz, uneven=True), scores, 0.3, 0.4, correlation_s)

            assert (beliefs >= 0.9 - 1e-9).all()


def test_without_end_of_correlation_every_frame_stands_for_itself_to_the_bit() -> None:
    gaps_s = gaps(1.0, uneven=True)
    _, scores = simulated(gaps_s, 0.3, 0.05, 1.0, 0.3)

    beliefs = filtered(gaps_s, scores, 0.3, 0.05, math.inf)

    alone = [filtered(gaps_s[:1], row[None], 0.3, 0.05, math.inf)[0] for row in scores]
    np.testing.assert_array_equal(beliefs, alone)
