"""Score replay: store the scores of all heads once, then replay the policy on them.

The model takes most of a frame's time. Replays do without it, so thresholds and weights can be
tried by the hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.progress import progress_bar
from polymorph_ros.runtime.knowledge import Knowledge
from polymorph_ros.runtime.policy import Policy
from polymorph_ros.training.frames import LabelledFrames


@dataclass(frozen=True)
class StoredScores:
    """The scores of scout and all adapters for every frame, as the model gives them.

    Attributes:
        frames: which frames.
        labels: the scout's P(label), float32 (frames, labels).
        contexts: the scout's P(context), float32 (frames, contexts).
        answers: of each adapter P(label | its context), float32 (frames, its labels).
    """

    frames: LabelledFrames
    labels: NDArray[np.float32]
    contexts: NDArray[np.float32]
    answers: tuple[NDArray[np.float32], ...]


@dataclass(frozen=True)
class ReplayedBeliefs:
    """What the policy believed of stored scores.

    Attributes:
        beliefs: float32 (frames, labels).
        covered: bool (frames, labels): labels of the adapters that ran.
        adapters: int64 (frames,): how many ran.
    """

    beliefs: NDArray[np.float32]
    covered: NDArray[np.bool_]
    adapters: NDArray[np.int64]


def store_scores(model: PolymorphModel, frames: LabelledFrames) -> StoredScores:
    """Run scout and all adapters on every frame."""
    every = range(len(model.contexts))
    labels, contexts, answers = [], [], []
    with progress_bar() as bars:
        task = bars.add_task("scores for tuning", total=len(frames), note="")
        for index in range(len(frames)):
            tokens = model.trunk(model.preprocess(np.asarray(frames.images[index])))
            scouted, present = model.scout(tokens)
            labels.append(scouted)
            contexts.append(present)
            answers.append(model.tails(tokens, every))
            bars.update(task, advance=1)
    return StoredScores(
        frames,
        np.stack(labels),
        np.stack(contexts),
        tuple(np.stack([answer[adapter] for answer in answers]) for adapter in every),
    )


def replay(stored: StoredScores, knowledge: Knowledge) -> ReplayedBeliefs:
    """Drive a policy over the frames as the engine would; each sequence starts anew."""
    frames, policy = stored.frames, Policy(knowledge)
    beliefs = np.empty(stored.labels.shape, np.float32)
    covered = np.zeros(stored.labels.shape, np.bool_)
    adapters = np.zeros(len(frames), np.int64)
    for part in frames.slices():
        policy.reset()
        for row in range(part.start, part.stop):
            stamp_ns = round(float(frames.stamps_s[row]) * 1e9)
            policy.update_from_scout(stamp_ns, stored.labels[row], stored.contexts[row])
            chosen = policy.select().adapters
            answers = [stored.answers[adapter][row] for adapter in chosen]
            beliefs[row] = policy.update_from_adapters(chosen, answers).scores
            covered[row] = knowledge.members[list(chosen)].any(axis=0)
            adapters[row] = len(chosen)
    return ReplayedBeliefs(beliefs, covered, adapters)


class StoredModel:
    """Stored scores in the place of a model, so that an engine can be replayed on them.

    A frame's image is made of its row by ``row_image``.

    Args:
        model: whose scores are stored.
        stored: the scores.
        thumbnails: what pictures are compared by, float32 (frames, rows, columns).
        spend: called with what each part does ("fixed", or "adapters" and how many), for clocks.
    """

    def __init__(
        self,
        model: PolymorphModel,
        stored: StoredScores,
        thumbnails: NDArray[np.float32],
        spend: Callable[[str, int], None] = lambda part, count: None,
    ) -> None:
        self.labels, self.contexts = model.labels, model.contexts
        self.context_names, self.costs = model.context_names, model.costs
        self._stored, self._thumbnails, self._spend = stored, thumbnails, spend

    def spending(self, spend: Callable[[str, int], None]) -> StoredModel:
        """The same with another clock."""
        other = copy(self)
        other._spend = spend
        return other

    def preprocess(self, image: NDArray[np.uint8]) -> int:
        """The row."""
        return int(image.reshape(-1)[:8].copy().view(np.int64)[0])

    def thumbnail(self, row: int) -> NDArray[np.float32]:
        """The stored thumbnail."""
        return self._thumbnails[row]

    def trunk(self, row: int) -> int:
        """The row."""
        self._spend("fixed", 1)
        return row

    def scout(self, row: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The stored P(label) and P(context)."""
        return self._stored.labels[row], self._stored.contexts[row]

    def feature_distance(self, row: int) -> None:
        """Unknown scenes are not judged."""

    def tails(self, row: int, adapters: Sequence[int]) -> list[NDArray[np.float32]]:
        """The stored answers."""
        self._spend("adapters", len(adapters))
        return [self._stored.answers[adapter][row] for adapter in adapters]


def row_image(row: int) -> NDArray[np.uint8]:
    """The image that stands for a row."""
    image = np.zeros((1, 3, 3), np.uint8)
    image.reshape(-1)[:8] = np.array([row], np.int64).view(np.uint8)
    return image
