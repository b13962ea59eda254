"""Score replay: store the scores of all heads once, then replay the policy on them.

The model takes most of a frame's time. Replays do without it, so thresholds and weights can be
tried by the hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.bundle.manifest import TailTokens
from polymorph_ros.model.polymorph import PolymorphModel, Scores
from polymorph_ros.progress import progress_bar
from polymorph_ros.runtime.knowledge import Knowledge
from polymorph_ros.runtime.policy import Policy
from polymorph_ros.training.frames import LabelledFrames

View = tuple[int, TailTokens | None]
"""A picture's size and what the tails get, as an ``OperatingPoint`` has them."""
AS_TRAINED: View = (0, None)
Spend = Callable[[Literal["preprocess", "trunk", "tails"], View, int], None]


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
    """Run scout and all adapters on every frame, as they were trained."""
    return store_views(model, frames, 0, (None,))[AS_TRAINED]


def store_views(
    model: PolymorphModel,
    frames: LabelledFrames,
    size: int,
    tail_tokens: Sequence[TailTokens | None],
) -> dict[View, StoredScores]:
    """The same for one picture size and several ways to run tails."""
    every = range(len(model.contexts))
    labels, contexts = [], []
    answers: dict[TailTokens | None, list[list[Scores]]] = {which: [] for which in tail_tokens}
    with progress_bar() as bars:
        task = bars.add_task("scores for tuning", total=len(frames), note="")
        for index in range(len(frames)):
            tokens = model.trunk(model.preprocess(np.asarray(frames.images[index]), size))
            scouted, present = model.scout(tokens)
            labels.append(scouted)
            contexts.append(present)
            for which, answered in answers.items():
                answered.append(model.tails(tokens, every, which))
            bars.update(task, advance=1)
    return {
        (size, which): StoredScores(
            frames,
            np.stack(labels),
            np.stack(contexts),
            tuple(np.stack([answer[adapter] for answer in answered]) for adapter in every),
        )
        for which, answered in answers.items()
    }


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
        stored: the scores, by size and tokens.
        thumbnails: what pictures are compared by, float32 (frames, rows, columns).
        spend: called with each part that runs, for clocks: its name, of what, and how many times.
    """

    def __init__(
        self,
        model: PolymorphModel,
        stored: Mapping[View, StoredScores],
        thumbnails: NDArray[np.float32],
        spend: Spend = lambda part, view, count: None,
    ) -> None:
        self.labels, self.contexts = model.labels, model.contexts
        self.context_names, self.costs = model.context_names, model.costs
        self._stored, self._thumbnails, self._spend = stored, thumbnails, spend

    def spending(self, spend: Spend) -> StoredModel:
        """The same with another clock."""
        other = copy(self)
        other._spend = spend
        return other

    def preprocess(self, image: NDArray[np.uint8], size: int = 0) -> tuple[int, int]:
        """The row, and the size."""
        self._spend("preprocess", (size, None), 1)
        return int(image.reshape(-1)[:8].copy().view(np.int64)[0]), size

    def thumbnail(self, pixels: tuple[int, int]) -> NDArray[np.float32]:
        """The stored thumbnail, of the bundle's size."""
        return self._thumbnails[pixels[0]]

    def trunk(self, pixels: tuple[int, int]) -> tuple[int, int]:
        """The row, and the size."""
        self._spend("trunk", (pixels[1], None), 1)
        return pixels

    def scout(self, tokens: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The stored P(label) and P(context)."""
        row, size = tokens
        stored = self._stored[size, None]
        return stored.labels[row], stored.contexts[row]

    def feature_distance(self, tokens: tuple[int, int]) -> None:
        """Unknown scenes are not judged."""

    def tails(
        self,
        tokens: tuple[int, int],
        adapters: Sequence[int],
        tail_tokens: TailTokens | None = None,
    ) -> list[NDArray[np.float32]]:
        """The stored answers."""
        row, size = tokens
        self._spend("tails", (size, tail_tokens), len(adapters))
        stored = self._stored[size, tail_tokens]
        return [stored.answers[adapter][row] for adapter in adapters]


def row_image(row: int) -> NDArray[np.uint8]:
    """The image that stands for a row."""
    image = np.zeros((1, 3, 3), np.uint8)
    image.reshape(-1)[:8] = np.array([row], np.int64).view(np.uint8)
    return image
