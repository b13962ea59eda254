"""Simulated scores for label traces: what scout and adapters might have said of each frame.

Traces have no pictures, so their scores are simulated from the truth and seeded noise. A score is
calibrated: its log-odds are the prior's plus the evidence of a Gaussian observation,

    evidence = d^2 (x - 1/2) + d n,        x the truth (0 or 1), n standard normal,

which is the log-likelihood ratio of two normals that stand ``d`` apart. ``d`` is what gives the
wanted average precision at the label's prior. ``n`` is a first-order autoregression in time, so
neighbouring frames of a fast camera err alike. Scout and adapters look at the same picture, so the
noise of an adapter's score of a label correlates with that of the scout's score of it.

- The scout says P(label) at the label's prior, and P(context) at the context's.
- An adapter says P(label | its context is there) at the label's prior among its context's
  frames. Where the context is absent, its scores look the same but follow an invented truth that
  comes and goes at the label's own rates and has nothing to do with the frame.

The context scores' errors are independent of the label scores'.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from polymorph_ros.contexts.presence import true_presence
from polymorph_ros.data.track import Track
from polymorph_ros.runtime.belief import logit, sigmoid
from polymorph_ros.runtime.knowledge import Knowledge

_GRID = np.linspace(-6.0, 14.0, 1001)
_SEPARATIONS = np.linspace(0.0, 7.0, 71)
_PRIORS = np.geomspace(1e-5, 0.99, 40)
# A label that is present most of the time has a high average precision without any evidence;
# its scores still separate presence from absence by this much.
_LEAST_SEPARATION = 1.0


@dataclass(frozen=True)
class Quality:
    """How good the scores are.

    Attributes:
        adapter_ap: average precision of an adapter's scores, on frames where its context is.
        scout_label_ap: of the scout's label scores.
        scout_context_ap: of its context scores.
        correlation_s: time after which the correlation of errors has fallen to 1/e, seconds.
        shared: correlation of an adapter's errors with the scout's of the same label, in [0, 1].
    """

    adapter_ap: float = 0.85
    scout_label_ap: float = 0.55
    scout_context_ap: float = 0.75
    correlation_s: float = 0.3
    shared: float = 0.5


@dataclass(frozen=True)
class SimulatedScores:
    """All scores of one sequence, whichever adapters run later.

    Attributes:
        track: truth and stamps.
        label_scores: float32 of shape (frames, labels), the scout's.
        context_scores: float32 of shape (frames, contexts), the scout's.
        answers: for each adapter float32 of shape (frames, labels of its context).
    """

    track: Track
    label_scores: NDArray[np.float32]
    context_scores: NDArray[np.float32]
    answers: tuple[NDArray[np.float32], ...]


def separations(priors: NDArray[np.float64], ap: float) -> NDArray[np.float64]:
    """The separation that gives an average precision, for each prior."""
    hit = norm.sf(_GRID - _SEPARATIONS[:, None])
    step, hit = -np.diff(hit, axis=1), hit[:, :-1]
    alarm = norm.sf(_GRID[:-1])
    found = []
    for prior in _PRIORS.tolist():
        precision = prior * hit / (prior * hit + (1.0 - prior) * alarm)
        found.append(np.interp(ap, (precision * step).sum(axis=1), _SEPARATIONS))
    between = np.interp(np.log(np.clip(priors, _PRIORS[0], _PRIORS[-1])), np.log(_PRIORS), found)
    return np.maximum(between, _LEAST_SEPARATION)


class Simulator:
    """Simulates the scores of tracks.

    Args:
        knowledge: priors, contexts and rates; scores are calibrated to it.
        quality: how good the scores are.
        seed: the same seed and track give the same scores.
    """

    def __init__(self, knowledge: Knowledge, quality: Quality, seed: int = 0) -> None:
        self._knowledge = knowledge
        self._quality = quality
        self._seed = seed
        pairs = knowledge.pairs
        self._label_d = separations(knowledge.label_dynamics.prior, quality.scout_label_ap)
        self._context_d = separations(knowledge.context_dynamics.prior, quality.scout_context_ap)
        self._pair_d = separations(pairs.prior, quality.adapter_ap)

    def simulate(self, track: Track, number: int) -> SimulatedScores:
        """Scores of a sequence; ``number`` makes its noise differ from the other sequences'."""
        rng = np.random.default_rng((self._seed, number))
        known = self._knowledge
        pairs = known.pairs
        present = track.truth == 1
        presence = true_presence(track, known.members) == 1
        steps = np.diff(track.stamps_s, prepend=track.stamps_s[:1])
        keep = np.exp(-steps / self._quality.correlation_s)

        noise = _noise(rng, present.shape, keep)
        shared = self._quality.shared
        own = _noise(rng, (len(present), len(pairs.label)), keep)
        answer_noise = shared * noise[:, pairs.label] + np.sqrt(1.0 - shared**2) * own
        imagined = _imagined(rng, steps, pairs.prior, known.label_dynamics.vanish_hz[pairs.label])
        believed = np.where(presence[:, pairs.context], present[:, pairs.label], imagined)
        answers = _scores(believed, pairs.prior, self._pair_d, answer_noise)
        return SimulatedScores(
            track,
            _scores(present, known.label_dynamics.prior, self._label_d, noise),
            _scores(
                presence, known.context_dynamics.prior, self._context_d,
                _noise(rng, presence.shape, keep),
            ),
            tuple(np.split(answers, pairs.start[1:], axis=1)),
        )  # fmt: skip


def _scores(
    truth: NDArray[np.bool_],
    prior: NDArray[np.float64],
    separation: NDArray[np.float64],
    noise: NDArray[np.float64],
) -> NDArray[np.float32]:
    evidence = separation * separation * (truth - 0.5) + separation * noise
    return sigmoid(logit(prior) + evidence).astype(np.float32)


def _noise(
    rng: np.random.Generator, shape: tuple[int, ...], keep: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Standard normal noise whose neighbours in time correlate by ``keep``."""
    noise = rng.standard_normal(shape)
    for row in range(1, len(noise)):
        noise[row] = keep[row] * noise[row - 1] + np.sqrt(1.0 - keep[row] ** 2) * noise[row]
    return noise


def _imagined(
    rng: np.random.Generator,
    steps: NDArray[np.float64],
    prior: NDArray[np.float64],
    vanish_hz: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """A two-state process per column, bool of shape (frames, columns), by its share and rate."""
    draws = rng.random((len(steps), len(prior)))
    state = np.zeros(draws.shape, dtype=np.bool_)
    state[0] = draws[0] < prior
    rate = vanish_hz / (1.0 - prior)
    for row in range(1, len(steps)):
        stays = np.exp(-rate * steps[row])
        state[row] = draws[row] < prior + (state[row - 1] - prior) * stays
    return state
