"""Score replay: store the scores of all heads once, then replay the policy on them.

The model takes most of a frame's time. Replays do without it, so thresholds and weights can be
tried by the hundred.
"""

from __future__ import annotations

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
