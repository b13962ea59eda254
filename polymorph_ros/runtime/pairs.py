"""Every (context, label of that context) as one row of flat arrays, for quick sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.arrays import Floats

# No label is rarer or surer than this just because its context is there.
_RAREST, _SUREST = 1e-3, 0.98
_SMALL = 1e-7


@dataclass(frozen=True)
class Pairs:
    """The memberships, context after context, each in the order of its adapter's head.

    Attributes:
        context: index of the context, int64 of shape (pairs,).
        label: index of the label, int64 of shape (pairs,).
        start: where each context's rows begin, int64 of shape (contexts,).
        share: of the frames with the label, the share in which this context stands for it; over
            the contexts of a label they add up to 1. Shape (pairs,).
        prior: P(label | its context is there), shape (pairs,).
        reliability: how far an adapter's score of the label is to be trusted beside another
            adapter's of the same label; only their order counts. Shape (pairs,).
        size: rows of each context, int64 of shape (contexts,).
    """

    context: NDArray[np.int64]
    label: NDArray[np.int64]
    start: NDArray[np.int64]
    share: Floats
    prior: Floats
    reliability: Floats
    size: NDArray[np.int64]

    def rows(self, context: int) -> NDArray[np.int64]:
        """The rows of one context."""
        return np.arange(self.start[context], self.start[context] + self.size[context])

    def any_of(self, probability: Floats) -> Floats:
        """P(at least one of a context's labels), from that of each pair, as if independent.

        Never quite 0 or 1, so that it has finite log-odds.
        """
        none = np.multiply.reduceat(1.0 - probability, self.start)
        some: Floats = np.minimum(np.maximum(1.0 - none, _SMALL), 1.0 - _SMALL)
        return some

    def by_context(self, of_label: Floats) -> Floats:
        """Sum of a label's value over each context's labels, shape (contexts,)."""
        total: Floats = np.add.reduceat(of_label[self.label], self.start)
        return total

    def by_label(self, values: Floats, labels: int) -> Floats:
        """Sum of the values of each label's pairs, shape (labels,)."""
        total = np.bincount(self.label, weights=values, minlength=labels)
        return total.astype(np.float64, copy=False)


def make_pairs(
    contexts: Sequence[Sequence[int]],
    label_prior: Floats,
    context_prior: Floats,
    shares: Floats | None = None,
    priors: Floats | None = None,
    reliability: Floats | None = None,
) -> Pairs:
    """Lay memberships out.

    Args:
        contexts: label indices of each context.
        label_prior: share of time in which each label is present.
        context_prior: the same of contexts.
        shares: as in ``Pairs``; without them a label's contexts share by their own priors.
        priors: as in ``Pairs``; without them they follow from the other three, for a label is
            present only while one of its contexts is.
        reliability: as in ``Pairs``; without it all scores count alike.
    """
    context = np.repeat(np.arange(len(contexts)), [len(labels) for labels in contexts])
    label = np.concatenate([np.asarray(labels, dtype=np.int64) for labels in contexts])
    start = np.searchsorted(context, np.arange(len(contexts)))
    weights = context_prior[context] if shares is None else np.maximum(shares, 1e-3)
    share = weights / np.bincount(label, weights=weights)[label]
    if priors is None:
        priors = label_prior[label] * share / context_prior[context]
    return Pairs(
        context=context,
        label=label,
        start=start,
        share=share,
        prior=np.clip(priors, _RAREST, _SUREST),
        reliability=np.ones(len(label)) if reliability is None else reliability,
        size=np.bincount(context, minlength=len(contexts)),
    )
