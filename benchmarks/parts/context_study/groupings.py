"""Other ways to group labels: at random, by spectral clustering, by Louvain communities.

Each gets the same number of contexts and places as ours, and all of its places are used: clusters
that are too large are parted, small ones share a context, and the places that are left go to the
labels that are seen most often with those of the context.
"""

from __future__ import annotations

import warnings

import networkx
import numpy as np
from sklearn.cluster import SpectralClustering

from polymorph_ros.arrays import Floats, Mask
from polymorph_ros.contexts.formation import ContextLimits, deal
from polymorph_ros.contexts.label_sets import LabelSets

Group = list[int]


def random_groups(labels: int, limits: ContextLimits, seed: int) -> Mask:
    """Labels dealt to the contexts evenly; places that are left filled at random."""
    rng = np.random.default_rng(seed)
    members = deal(labels, limits, rng)
    for row in members:
        free = min(limits.labels_per_context, labels) - int(row.sum())
        row[rng.choice(np.flatnonzero(~row), free, replace=False)] = True
    return members


def spectral_groups(sets: LabelSets, limits: ContextLimits, seed: int) -> Mask:
    """Spectral clustering (scikit-learn) of the frames in which two labels are seen together."""
    together = pairs_seen(sets)
    clusters = min(limits.contexts, len(together) - 1)
    affinity = together / max(together.max(), 1e-12) + 1e-9  # of one piece, as it asks for
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = SpectralClustering(
            clusters, affinity="precomputed", random_state=seed
        ).fit_predict(affinity)  # fmt: skip
    groups = [np.flatnonzero(found == cluster).tolist() for cluster in range(clusters)]
    return place(groups, together, limits)


def louvain_groups(sets: LabelSets, limits: ContextLimits, seed: int) -> Mask:
    """Louvain communities (networkx) of the graph of labels that are seen together."""
    together = pairs_seen(sets)
    found = networkx.community.louvain_communities(networkx.from_numpy_array(together), seed=seed)
    return place([sorted(group) for group in found], together, limits)


def pairs_seen(sets: LabelSets) -> Floats:
    """In how many frames two labels are seen together, (labels, labels), 0 on the diagonal."""
    weighted = sets.rows.multiply(sets.weights[:, None]).tocsr()
    together = np.asarray((sets.rows.T @ weighted).todense(), dtype=np.float64)
    np.fill_diagonal(together, 0.0)
    return together


def place(groups: list[Group], together: Floats, limits: ContextLimits) -> Mask:
    """Bring groups of any size into contexts of limited size, and use all places.

    The largest part comes first. A part goes into an empty context while there is one, then to
    where it has the most co-occurrence and room; if there is none, its labels go one by one.
    """
    members = np.zeros((limits.contexts, len(together)), dtype=np.bool_)
    parts = [part for group in groups for part in _part(group, together, limits)]
    for part in sorted(parts, key=len, reverse=True):
        room = limits.labels_per_context - members.sum(axis=1)
        whole = (room >= len(part)).any()
        for piece in [part] if whole else [[label] for label in part]:
            room = limits.labels_per_context - members.sum(axis=1)
            cooccurrence = members @ together[:, piece].sum(axis=1)
            cooccurrence[~members.any(axis=1)] = np.inf
            members[int(np.where(room >= len(piece), cooccurrence, -1.0).argmax()), piece] = True
    while True:
        free = ~members & (members.sum(axis=1) < limits.labels_per_context)[:, None]
        if not free.any():
            return members
        cooccurrence = np.where(free, members.astype(np.float64) @ together, -1.0)
        members.flat[int(cooccurrence.argmax())] = True


def _part(group: Group, together: Floats, limits: ContextLimits) -> list[Group]:
    """Part a group that is too large: again and again the label seen most, and its cooccurrence."""
    parts = []
    left = list(group)
    while len(left) > limits.labels_per_context:
        inside = together[np.ix_(left, left)]
        part = [int(inside.sum(axis=1).argmax())]
        while len(part) < limits.labels_per_context:
            cooccurrence = inside[:, part].sum(axis=1)
            cooccurrence[part] = -1.0
            part.append(int(cooccurrence.argmax()))
        parts.append([left[label] for label in part])
        left = [label for place, label in enumerate(left) if place not in part]
    return [*parts, left] if left else parts
