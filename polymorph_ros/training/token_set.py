"""Cached trunk tokens with what is true in them: what scout and adapters learn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.contexts.presence import true_presence
from polymorph_ros.training.artifacts import Artifact
from polymorph_ros.training.frames import load_frames
from polymorph_ros.training.loop import Indices
from polymorph_ros.training.stages.contexts import load_contexts
from polymorph_ros.training.stages.tokens import load_tokens


@dataclass(frozen=True)
class TokenSet:
    """Frames as scout and adapters see them.

    Attributes:
        tokens: float16 (views * frames, N, D), memory-mapped: all frames as they are, then all
            frames in a second view, and so on.
        truth: int8 (frames, labels), -1 unknown.
        presence: int8 (frames, contexts), 1 where the context is there.
    """

    tokens: NDArray[np.float16]
    truth: NDArray[np.int8]
    presence: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.truth)

    def plain(self, frames: Indices | slice) -> NDArray[np.float16]:
        """The tokens of some frames as they are."""
        return self.tokens[: len(self)][frames]

    def varied(self, frames: Indices, rng: np.random.Generator) -> NDArray[np.float16]:
        """The tokens of some frames, each in a view taken at random."""
        views = len(self.tokens) // len(self)
        return self.tokens[rng.integers(views, size=len(frames)) * len(self) + frames]


@dataclass(frozen=True)
class TokenFiles:
    """Where a token set is on disk: frames and their tokens, as stages made them."""

    frames: Artifact
    tokens: Artifact

    def load(self, contexts: Artifact) -> TokenSet:
        """Map tokens and truth; tell where each of the contexts is there."""
        frames = load_frames(self.frames.folder)
        members = load_contexts(contexts.folder).members
        presence = [true_presence(track, members) for track in frames.tracks()]
        return TokenSet(
            load_tokens(self.tokens.folder), np.asarray(frames.truth), np.concatenate(presence)
        )
