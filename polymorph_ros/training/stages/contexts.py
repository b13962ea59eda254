"""Stage: which labels go together, and what the contexts are called."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, cast

import numpy as np

from polymorph_ros.arrays import Mask
from polymorph_ros.contexts.cost import membership
from polymorph_ros.contexts.formation import ContextLimits, form_contexts
from polymorph_ros.data.track import Track
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import write_json
from polymorph_ros.training.artifacts import Artifact, Planned
from polymorph_ros.training.config import ContextsConfig
from polymorph_ros.training.cost import Rates, StageCost
from polymorph_ros.training.frames import load_frames, vocabulary_of

_FILE = "contexts.json"


@dataclass(frozen=True)
class Contexts:
    """The contexts over a vocabulary.

    Attributes:
        vocabulary: all labels of the data.
        names: of the contexts; each is fit for a folder's name.
        labels: vocabulary indices of each context.
    """

    vocabulary: tuple[str, ...]
    names: tuple[str, ...]
    labels: tuple[tuple[int, ...], ...]

    @property
    def members(self) -> Mask:
        """Which label belongs to which context, (contexts, labels)."""
        return membership(self.labels, len(self.vocabulary))

    def labels_of(self, context: int) -> tuple[str, ...]:
        """The names of a context's labels."""
        return tuple(self.vocabulary[label] for label in self.labels[context])


@dataclass(frozen=True)
class ContextsStage:
    """Contexts formed on the training frames.

    Attributes:
        known: labels that a bundle has already: contexts are formed of the others.
        taken: names that contexts may not have.
    """

    config: ContextsConfig
    frames: Artifact
    seed: int
    known: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    name: ClassVar[str] = "contexts"

    def cost(self, rates: Rates) -> StageCost:
        """Next to nothing."""
        return StageCost(size=1000)

    def write(self, folder: Path) -> None:
        """Form contexts, name them, write them as JSON.

        Raises:
            PolymorphError: all labels are known already.
        """
        vocabulary = vocabulary_of(self.frames)
        columns = new_labels(vocabulary, self.known)
        tracks = [columns_of(track, columns) for track in load_frames(self.frames.folder).tracks()]
        limits = ContextLimits(self.config.count, self.config.labels_per_context)
        groups = form_contexts(tracks, limits, seed=self.seed)
        labels = tuple(tuple(columns[label] for label in group) for group in groups)
        names = _names(labels, vocabulary, self.taken)
        document = {"vocabulary": vocabulary, "contexts": dict(zip(names, labels, strict=True))}
        write_json(folder / _FILE, document)

    def estimate(self) -> Contexts:
        """As many contexts as there may be, each with its share of the labels."""
        vocabulary = vocabulary_of(self.frames)
        columns = new_labels(vocabulary, self.known)
        count = min(self.config.count, len(columns))
        names = tuple(str(number + 1) for number in range(count))
        return Contexts(vocabulary, names, tuple(columns[first::count] for first in range(count)))


def load_contexts(contexts: Artifact) -> Contexts:
    """What the stage wrote; an estimate while it is only planned."""
    if isinstance(contexts, Planned):
        return cast(ContextsStage, contexts.stage).estimate()
    document = json.loads((contexts.folder / _FILE).read_text(encoding="utf-8"))
    return Contexts(
        tuple(document["vocabulary"]),
        tuple(document["contexts"]),
        tuple(tuple(labels) for labels in document["contexts"].values()),
    )


def new_labels(vocabulary: tuple[str, ...], known: tuple[str, ...]) -> tuple[int, ...]:
    """The columns of labels that are not known yet.

    Raises:
        PolymorphError: there is none.
    """
    labels = tuple(index for index, name in enumerate(vocabulary) if name not in known)
    if not labels:
        raise PolymorphError(
            "labels that the bundle does not have yet", f"only {', '.join(vocabulary)}",
            where="the data to add", remedy="train a new bundle to learn old labels better",
        )  # fmt: skip
    return labels


def columns_of(track: Track, labels: tuple[int, ...]) -> Track:
    """A track of some of its labels."""
    return replace(track, truth=np.ascontiguousarray(track.truth[:, list(labels)]))


def _names(
    labels: tuple[tuple[int, ...], ...], vocabulary: tuple[str, ...], taken: tuple[str, ...]
) -> tuple[str, ...]:
    """Name each context after its most telling labels: those that fewest others have."""
    shared = np.bincount([label for group in labels for label in group], minlength=len(vocabulary))
    names = list(taken)
    for group in labels:
        telling = sorted(group, key=lambda label: (shared[label], label))
        words = "-".join(vocabulary[label] for label in telling[:2])
        name = re.sub(r"[^\w.-]+", "_", words).strip(".")[:60] or "context"
        names.append(name if name not in names else f"{name}-{len(names)}")
    return tuple(names[len(taken) :])
