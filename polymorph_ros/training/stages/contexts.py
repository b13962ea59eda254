"""Stage: which labels go together, and what the contexts are called."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.contexts.cost import membership
from polymorph_ros.contexts.formation import ContextLimits, form_contexts
from polymorph_ros.training.artifacts import Artifact
from polymorph_ros.training.config import ContextsConfig
from polymorph_ros.training.frames import load_about, load_frames

_FILE = "contexts.json"


@dataclass(frozen=True)
class Contexts:
    """The contexts over a vocabulary.

    Attributes:
        vocabulary: all labels.
        names: of the contexts; each is fit for a folder's name.
        labels: vocabulary indices of each context.
    """

    vocabulary: tuple[str, ...]
    names: tuple[str, ...]
    labels: tuple[tuple[int, ...], ...]

    @property
    def members(self) -> NDArray[np.bool_]:
        """bool (contexts, labels)."""
        return membership(self.labels, len(self.vocabulary))

    def labels_of(self, context: int) -> tuple[str, ...]:
        """The names of a context's labels."""
        return tuple(self.vocabulary[label] for label in self.labels[context])


@dataclass(frozen=True)
class ContextsStage:
    """Contexts formed on the training frames."""

    config: ContextsConfig
    frames: Artifact
    seed: int

    @property
    def name(self) -> str:
        return "contexts"

    def write(self, folder: Path) -> None:
        limits = ContextLimits(self.config.count, self.config.labels_per_context)
        tracks = load_frames(self.frames.folder).tracks()
        vocabulary = load_about(self.frames.folder).vocabulary
        labels = form_contexts(tracks, limits, seed=self.seed)
        save_contexts(folder, Contexts(vocabulary, context_names(labels, vocabulary), labels))


def save_contexts(folder: Path, contexts: Contexts) -> None:
    """Write contexts as JSON."""
    document = {
        "vocabulary": contexts.vocabulary,
        "contexts": dict(zip(contexts.names, contexts.labels, strict=True)),
    }
    text = json.dumps(document, indent=1, ensure_ascii=False)
    (folder / _FILE).write_text(text + "\n", encoding="utf-8")


def load_contexts(folder: Path) -> Contexts:
    """Read the contexts of a folder that the stage wrote."""
    document = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    return Contexts(
        tuple(document["vocabulary"]),
        tuple(document["contexts"]),
        tuple(tuple(labels) for labels in document["contexts"].values()),
    )


def context_names(
    labels: tuple[tuple[int, ...], ...], vocabulary: tuple[str, ...], taken: tuple[str, ...] = ()
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
