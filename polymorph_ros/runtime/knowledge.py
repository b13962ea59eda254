"""What training taught about labels and contexts: all that the policy knows beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from polymorph_ros.bundle.manifest import ContextEntry, LabelEntry, Manifest
from polymorph_ros.contexts.statistics import Dynamics
from polymorph_ros.runtime.belief import Mask
from polymorph_ros.runtime.cover import membership
from polymorph_ros.runtime.thresholds import Thresholds


@dataclass(frozen=True)
class Knowledge:
    """Names, contexts, dynamics and thresholds.

    Attributes:
        labels: the vocabulary.
        context_names: name of each context, which is that of its adapter.
        contexts: vocabulary indices of each context's labels, in the order of its adapter's head.
        members: the same as a mask, bool of shape (contexts, labels).
        label_dynamics: how labels come and go, each of shape (labels,).
        context_dynamics: the same of contexts, each of shape (contexts,).
        thresholds: on beliefs of labels.
    """

    labels: tuple[str, ...]
    context_names: tuple[str, ...]
    contexts: tuple[tuple[int, ...], ...]
    members: Mask
    label_dynamics: Dynamics
    context_dynamics: Dynamics
    thresholds: Thresholds

    @classmethod
    def of(cls, manifest: Manifest) -> Knowledge:
        """What a bundle's manifest says."""
        labels = tuple(label.name for label in manifest.labels)
        index = {name: number for number, name in enumerate(labels)}
        contexts = tuple(
            tuple(index[name] for name in context.labels) for context in manifest.contexts
        )
        return cls(
            labels=labels,
            context_names=tuple(context.name for context in manifest.contexts),
            contexts=contexts,
            members=membership(contexts, len(labels)),
            label_dynamics=_dynamics(manifest.labels),
            context_dynamics=_dynamics(manifest.contexts),
            thresholds=Thresholds.of(manifest),
        )


def _dynamics(entries: Sequence[LabelEntry | ContextEntry]) -> Dynamics:
    return Dynamics(
        prior=np.array([entry.prior for entry in entries]),
        appear_hz=np.array([entry.appear_hz for entry in entries]),
        vanish_hz=np.array([entry.vanish_hz for entry in entries]),
    )
