"""Ways of choosing which frames a person labels next, and the head that learns from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from parts.frozen_features import Pool
from polymorph_ros.annotation.ranking import rank_frames

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

_NEIGHBOURS = 20  # of TypiClust
_CLUSTERED = 32  # principal components in which clusters are sought
_WEIGHT_DECAY = 1e-3
_STEPS = 60


@dataclass(frozen=True)
class State:
    """What a choice may look at.

    Attributes:
        pool: all frames; a choice must not read the truth of unlabelled ones.
        labelled: rows with labels, in the order of labelling.
        scores: (frames, labels), of a head trained on the labelled rows; None before the first.
        random: of this seed.
    """

    pool: Pool
    labelled: Rows
    scores: Floats | None
    random: np.random.Generator

    @property
    def left(self) -> Rows:
        """Rows without labels."""
        return np.setdiff1d(np.arange(len(self.pool.features)), self.labelled)


Choose = Callable[[State, int], Rows]
"""Chooses so many further rows."""


def entropy(scores: Floats) -> Floats:
    """Mean binary entropy over labels, in [0, 1]: scores (frames, labels) to (frames,)."""
    p = np.clip(scores, 1e-6, 1 - 1e-6)
    return (-(p * np.log2(p) + (1 - p) * np.log2(1 - p))).mean(axis=1)


def at_random(state: State, count: int) -> Rows:
    """Any frames."""
    return state.random.permutation(state.left)[:count]


def uniform_in_time(state: State, count: int) -> Rows:
    """Frames at equal distances in time, over all that are left."""
    left = state.left[np.argsort(state.pool.times[state.left])]
    places = (np.arange(count) + state.random.uniform()) * len(left) / count
    return left[places.astype(np.int64)]


def by_entropy(state: State, count: int) -> Rows:
    """The frames the head is least sure of; the first at random."""
    if state.scores is None:
        return at_random(state, count)
    left = state.left
    return left[np.argsort(-entropy(state.scores[left]), kind="stable")][:count]


def k_centre(state: State, count: int) -> Rows:
    """The package's ranking without the model's uncertainty: far from all labelled ones."""
    return _ranked(state, count, np.zeros(len(state.pool.features)))


def ranking(state: State, count: int) -> Rows:
    """The package's ranking: k-centre weighted by the entropy of the head's scores."""
    return _ranked(state, count, _uncertainty(state))


def typicality(state: State, count: int) -> Rows:
    """TypiClust (Hacohen et al., ICML 2022): of each new cluster the frame in its densest place."""
    return _of_clusters(state, count, np.ones(len(state.pool.features)))


def typical_and_uncertain(state: State, count: int) -> Rows:
    """TypiClust with each frame's typicality weighted by the entropy of the head's scores."""
    return _of_clusters(state, count, 0.25 + 0.75 * _uncertainty(state))


def typical_then_ranking(state: State, count: int) -> Rows:
    """Typicality for the first round, the package's ranking after it."""
    return (typicality if state.scores is None else ranking)(state, count)


CHOICES: Mapping[str, Choose] = {
    "random": at_random,
    "uniform_in_time": uniform_in_time,
    "entropy": by_entropy,
    "k_centre": k_centre,
    "ranking": ranking,
    "typicality": typicality,
    "typical_and_uncertain": typical_and_uncertain,
    "typical_then_ranking": typical_then_ranking,
}


def _uncertainty(state: State) -> Floats:
    if state.scores is None:
        return np.zeros(len(state.pool.features))
    values = entropy(state.scores)
    return values / max(float(values.max()), 1e-9)


def _ranked(state: State, count: int, uncertainty: Floats) -> Rows:
    size = len(state.pool.features)
    labelled = np.zeros(size, bool)
    labelled[state.labelled] = True
    ranked = rank_frames(
        np.asarray(state.pool.features, np.float64), uncertainty, np.zeros(size, bool), labelled
    )
    return ranked.order[~labelled[ranked.order]][:count]


def _of_clusters(state: State, count: int, weights: Floats) -> Rows:
    features = state.pool.features
    units = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    wanted = len(state.labelled) + count
    seed = int(state.random.integers(1 << 31))
    reduced = PCA(_CLUSTERED, random_state=seed).fit_transform(units)
    clusters = KMeans(wanted, n_init=1, random_state=seed).fit_predict(reduced)
    covered = set(clusters[state.labelled].tolist())
    sizes = np.bincount(clusters, minlength=wanted)
    order = sorted(range(wanted), key=lambda one: (one in covered, -sizes[one]))
    chosen: list[int] = []
    taken = set(state.labelled.tolist())
    for cluster in order:
        members = np.array([row for row in np.flatnonzero(clusters == cluster) if row not in taken])
        if len(members) and len(chosen) < count:
            chosen.append(int(members[np.argmax(_typicality(units[members]) * weights[members])]))
    rest = np.setdiff1d(state.left, chosen)
    chosen += state.random.permutation(rest)[: count - len(chosen)].tolist()
    return np.array(chosen, np.int64)


def _typicality(units: NDArray[np.float32]) -> Floats:
    """The inverse of the mean distance to the nearest neighbours."""
    if len(units) == 1:
        return np.ones(1)
    gaps = np.sqrt(np.maximum(2.0 - 2.0 * units @ units.T, 0.0))
    nearest = np.sort(gaps, axis=1)[:, 1 : _NEIGHBOURS + 1]
    inverse: Floats = 1.0 / np.maximum(nearest.mean(axis=1), 1e-6)
    return inverse


def train_head(pool: Pool, test: Pool) -> tuple[Floats, Floats]:
    """Linear heads by logistic regression on the pool's known labels; scores of pool and test.

    Features are standardised by all frames that are there, labelled or not; so the caller gives
    the whole pool with the truth of unlabelled frames as unknown.
    """
    mean, std = pool.features.mean(axis=0), pool.features.std(axis=0) + 1e-6
    inputs, others = (
        torch.from_numpy((one.features - mean) / (std * len(mean) ** 0.5)) for one in (pool, test)
    )
    rows = np.flatnonzero((pool.truth >= 0).any(axis=1))
    truth = torch.from_numpy(pool.truth[rows])
    known, present, shown = (truth >= 0).float(), (truth == 1).float(), inputs[rows]
    weights = torch.zeros(len(mean), truth.shape[1], requires_grad=True)
    bias = torch.zeros(truth.shape[1], requires_grad=True)
    steps = torch.optim.LBFGS([weights, bias], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        steps.zero_grad()
        each = torch.nn.functional.binary_cross_entropy_with_logits(
            shown @ weights + bias, present, known, reduction="sum"
        )
        whole = each / len(rows) + _WEIGHT_DECAY * weights.square().sum()
        whole.backward()
        return whole

    steps.step(loss)
    with torch.no_grad():
        scores = [(one @ weights + bias).sigmoid().double().numpy() for one in (inputs, others)]
    return scores[0], scores[1]
