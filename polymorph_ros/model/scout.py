"""The scout: a small head on the trunk's tokens that scores the whole vocabulary at little cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.token_grid import split_tokens


class Scout(nn.Module):
    """Trunk tokens to label and context logits.

    A label may be a few patches large, so a mean over patches alone would hide it. Beside the
    class token (``split_tokens`` says what stands for it where there is none) and the mean stand
    learned detectors, each read at the patch where it is strongest, and learned attention
    queries, each of which averages the patches that say most. These summaries are joined,
    normalised and read by a two-layer perceptron with two heads.

    Args:
        dim: D, length of a token.
        labels: V, size of the vocabulary.
        contexts: C, number of contexts.
        hidden: width of the hidden layer.
        queries: Q, number of learned attention queries.
        detectors: T, number of learned patch detectors.
    """

    def __init__(
        self,
        dim: int,
        labels: int,
        contexts: int,
        hidden: int = 256,
        queries: int = 4,
        detectors: int = 128,
    ) -> None:
        super().__init__()
        width = (2 + queries) * dim + detectors
        self.token_norm = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, queries, bias=False)
        self.detector = nn.Linear(dim, detectors)
        self.summary_norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, hidden)
        self.activation = nn.GELU()
        self.label_head = nn.Linear(hidden, labels)
        self.context_head = nn.Linear(hidden, contexts)

    @property
    def dim(self) -> int:
        """D, length of a token."""
        return self.query.in_features

    @property
    def num_labels(self) -> int:
        """V, size of the vocabulary."""
        return self.label_head.out_features

    @property
    def num_contexts(self) -> int:
        """C, number of contexts."""
        return self.context_head.out_features

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, D) to label logits (B, V) and context logits (B, C)."""
        hidden = self.activation(self.hidden(self.summary(tokens)))
        return self.label_head(hidden), self.context_head(hidden)

    def summary(self, tokens: Tensor) -> Tensor:
        """Tokens (B, N, D) to one vector (B, (2 + Q) * D + T) per picture."""
        whole, patches = split_tokens(self.token_norm(tokens))
        attention = self.query(patches).softmax(dim=1)
        attended = (attention.transpose(1, 2) @ patches).flatten(1)
        detected = self.detector(patches).amax(dim=1)
        parts = [whole, patches.mean(dim=1), attended, detected]
        return cast(Tensor, self.summary_norm(torch.cat(parts, dim=1)))

    def tensors(self) -> dict[str, Tensor]:
        """Everything that ``from_tensors`` needs: contiguous float32 tensors on the CPU."""
        state = self.state_dict()
        return {key: value.detach().float().cpu().contiguous() for key, value in state.items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], where: str = "scout") -> Scout:
        """Rebuilds a scout; every size is read from the tensors' shapes.

        Raises:
            PolymorphError: a tensor is missing, superfluous, misshapen or not finite.
        """
        matrices = ("query", "detector", "hidden", "label_head", "context_head")
        for key in (f"{name}.weight" for name in matrices):
            if key not in tensors or tensors[key].ndim != 2:
                raise PolymorphError(f"a matrix {key}", _shape(tensors, key), where=where)
        rows = {name: len(tensors[f"{name}.weight"]) for name in matrices}
        scout = cls(
            dim=tensors["query.weight"].shape[1],
            labels=rows["label_head"],
            contexts=rows["context_head"],
            hidden=rows["hidden"],
            queries=rows["query"],
            detectors=rows["detector"],
        )
        _check_tensors(scout.state_dict(), tensors, where)
        scout.load_state_dict({key: value.float() for key, value in tensors.items()})
        return scout.requires_grad_(False).eval()


def _check_tensors(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], where: str) -> None:
    for key in sorted(expected.keys() | found.keys()):
        if key not in expected:
            raise PolymorphError("only a scout's tensors", f"a tensor {key}", where=where)
        if key not in found or found[key].shape != expected[key].shape:
            shape = tuple(expected[key].shape)
            raise PolymorphError(f"{key} of shape {shape}", _shape(found, key), where=where)
        if not torch.isfinite(found[key]).all():
            raise PolymorphError(f"finite {key}", "NaN or infinity", where=where)


def _shape(tensors: Mapping[str, Tensor], key: str) -> str:
    return f"shape {tuple(tensors[key].shape)}" if key in tensors else "no such tensor"
