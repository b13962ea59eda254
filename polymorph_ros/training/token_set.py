"""Cached trunk tokens with what is true in them: what scout and adapters learn from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polymorph_ros.arrays import Indices
from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.contexts.presence import true_presence
from polymorph_ros.training.artifacts import Artifact
from polymorph_ros.training.frames import load_frames
from polymorph_ros.training.loop import ON_CPU
from polymorph_ros.training.stages.contexts import load_contexts
from polymorph_ros.training.stages.tokens import load_tokens

_BATCH = 256


@dataclass(frozen=True)
class TokenSet:
    """Frames as scout and adapters get them.

    Attributes:
        tokens: float16 (views * frames, N, D), memory-mapped: all frames as they are, then all
            frames in a second view, and so on.
        truth: int8 (frames, labels), -1 unknown.
        presence: int8 (frames, contexts), 1 where the context is there.
        device: where tensors are made of them.
    """

    tokens: NDArray[np.float16]
    truth: NDArray[np.int8]
    presence: NDArray[np.int8]
    device: str = "cpu"

    def __len__(self) -> int:
        return len(self.truth)

    def plain(self, frames: Indices | slice) -> NDArray[np.float16]:
        """The tokens of some frames as they are."""
        return self.tokens[: len(self)][frames]

    def varied(self, frames: Indices, rng: np.random.Generator) -> Tensor:
        """The tokens of some frames, each in a view taken at random, float32 (n, N, D)."""
        views = len(self.tokens) // len(self)
        rows = rng.integers(views, size=len(frames)) * len(self) + frames
        return self.tensor(self.tokens[rows].astype(np.float32))

    def batches(self) -> Iterator[Tensor]:
        """The tokens of all frames as they are, float32 (n, N, D) each."""
        for first in range(0, len(self), _BATCH):
            part = self.plain(slice(first, first + _BATCH))
            yield self.tensor(part.astype(np.float32))

    def outputs(self, network: Callable[[Tensor], Tensor]) -> NDArray[np.float32]:
        """What a network computes of all frames as they are, (frames, outputs)."""
        with torch.inference_mode():
            return np.concatenate([network(tokens).cpu().numpy() for tokens in self.batches()])

    def tensor(self, array: NDArray[Any]) -> Tensor:
        """An array on the device."""
        return torch.from_numpy(array).to(self.device)


@dataclass(frozen=True)
class TokenFiles:
    """Where a token set is on disk: frames and their tokens, as stages wrote them."""

    frames: Artifact
    tokens: Artifact

    def load(self, contexts: Artifact, device: str = "cpu") -> TokenSet:
        """Map tokens and truth; say where each of the contexts is there."""
        frames = load_frames(self.frames.folder)
        members = load_contexts(contexts).members
        presence = [true_presence(track, members) for track in frames.tracks()]
        return TokenSet(
            load_tokens(self.tokens.folder),
            np.asarray(frames.truth),
            np.concatenate(presence),
            device,
        )


@dataclass(frozen=True)
class Features:
    """What scout and adapters learn from, as stages wrote it, and the device that they learn on."""

    preprocessing: Preprocessing
    backbone: Artifact
    train: TokenFiles
    validation: TokenFiles
    contexts: Artifact
    device: str = field(default="cpu", metadata=ON_CPU)

    def load_train(self) -> TokenSet:
        """The training frames."""
        return self.train.load(self.contexts, self.device)

    def load_validation(self) -> TokenSet:
        """The validation frames."""
        return self.validation.load(self.contexts, self.device)
