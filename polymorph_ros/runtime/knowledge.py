"""What training taught about labels and contexts: all that the policy knows beforehand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from polymorph_ros.arrays import Floats, Mask
from polymorph_ros.bundle.manifest import ContextEntry, LabelEntry, Manifest
from polymorph_ros.contexts.cost import membership
from polymorph_ros.contexts.statistics import Dynamics
from polymorph_ros.runtime.cover import contexts_of_labels
from polymorph_ros.runtime.pairs import Pairs, make_pairs
from polymorph_ros.runtime.thresholds import Thresholds


@dataclass(frozen=True, kw_only=True)
class EvidenceWeights:
    """How much of the evidence counts that is not independent of other evidence, in [0, 1].

    All scores of a frame come from the same picture. What that leaves of each was chosen on
    validation sequences of the default bundle; training may learn others.

    Attributes:
        context: of the scout's context scores, beside its label scores.
        scout: of the scout's score of a label that an adapter has scored in the same frame.
        answers: of what an adapter's answers say of its own context's presence: where it is not
            there they are noise, which may look like anything.
        cooccurrence: of what contexts say of labels: all of it where scores of a frame's labels
            err independently; less where each of them was learned from the whole picture, so that
            it has taken the other labels into account already.
        correlation_s: time after which the autocorrelation of a score's errors has fallen to 1/e,
            seconds; infinite: earlier scores add nothing.
        smoothing_s: time constant of the mean over scores, seconds; 0: none.
    """

    context: float = 0.3
    scout: float = 0.0
    answers: float = 0.5
    cooccurrence: float = 1.0
    correlation_s: float = 0.3
    smoothing_s: float = 0.0


@dataclass(frozen=True)
class Knowledge:
    """Names, contexts, dynamics and thresholds.

    Attributes:
        labels: the vocabulary.
        context_names: name of each context, which is that of its adapter.
        contexts: vocabulary indices of each context's labels, in the order of its adapter's head.
        members: the same as a mask, bool of shape (contexts, labels).
        pairs: the same, row by row, with what is known of each.
        label_dynamics: how labels come and go, each of shape (labels,).
        context_dynamics: the same of contexts, each of shape (contexts,).
        costs: what running each adapter costs, in units of an average one, shape (contexts,).
        thresholds: on beliefs of labels.
        weights: of evidence that is not independent.
    """

    labels: tuple[str, ...]
    context_names: tuple[str, ...]
    contexts: tuple[tuple[int, ...], ...]
    members: Mask
    pairs: Pairs
    label_dynamics: Dynamics
    context_dynamics: Dynamics
    costs: Floats
    thresholds: Thresholds
    weights: EvidenceWeights = EvidenceWeights()

    @cached_property
    def contexts_of_label(self) -> tuple[tuple[int, ...], ...]:
        """The contexts that contain each label, ascending."""
        return contexts_of_labels(self.members)

    @classmethod
    def of(cls, manifest: Manifest) -> Knowledge:
        """What a bundle's manifest says."""
        labels = tuple(label.name for label in manifest.labels)
        index = {name: number for number, name in enumerate(labels)}
        contexts = tuple(
            tuple(index[name] for name in context.labels) for context in manifest.contexts
        )
        label_dynamics, context_dynamics = _dynamics(manifest.labels), _dynamics(manifest.contexts)
        return cls(
            labels=labels,
            context_names=tuple(context.name for context in manifest.contexts),
            contexts=contexts,
            members=membership(contexts, len(labels)),
            pairs=make_pairs(
                contexts,
                label_dynamics.prior,
                context_dynamics.prior,
                shares=_of_pairs(manifest.contexts, "shares"),
                priors=_of_pairs(manifest.contexts, "label_priors"),
                reliability=_reliability(manifest.contexts),
            ),
            label_dynamics=label_dynamics,
            context_dynamics=context_dynamics,
            costs=np.ones(len(contexts)),
            thresholds=Thresholds.of(manifest),
            weights=EvidenceWeights(
                **manifest.evidence.model_dump(),
                correlation_s=manifest.correlation_s or math.inf,
                smoothing_s=manifest.smoothing_s,
            ),
        )


def _dynamics(entries: Sequence[LabelEntry | ContextEntry]) -> Dynamics:
    return Dynamics(
        prior=np.array([entry.prior for entry in entries]),
        appear_hz=np.array([entry.appear_hz for entry in entries]),
        vanish_hz=np.array([entry.vanish_hz for entry in entries]),
    )


def _of_pairs(contexts: Sequence[ContextEntry], field: str) -> Floats | None:
    """A field that contexts have for each of their labels, (pairs,); None where one lacks it."""
    each = [getattr(context, field) for context in contexts]
    return None if any(values is None for values in each) else np.concatenate(each)


def _reliability(contexts: Sequence[ContextEntry]) -> Floats:
    """That of each pair, (pairs,); contexts without it count in full."""
    each = [context.reliability or (1.0,) * len(context.labels) for context in contexts]
    # A score that was useless in validation still orders by its context's likelihood.
    return np.maximum(np.concatenate(each), 0.05)
