"""Heads that baselines have on a frozen backbone; each ends in a row of ``weight`` for each label.

All are read back by the shapes of their tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from polymorph_ros.model.token_grid import split_tokens

_WIDEST = 768  # of ML-Decoder's embedding
_MLP = 2048


class PooledHead(nn.Linear):
    """A linear map of the pooled feature, float (B, F), to logits (B, labels)."""

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> PooledHead:
        """One of the shapes of these tensors."""
        return cls(tensors["weight"].shape[1], len(tensors["bias"]))


class CosineHead(PooledHead):
    """The same of the feature at length 1: a zero-shot classifier's rows are embedded names."""

    def forward(self, feature: Tensor) -> Tensor:
        """Features (B, F) to logits (B, labels)."""
        return super().forward(functional.normalize(feature, dim=-1))


class AttentiveHead(nn.Module):
    """One learned query reads the last block's tokens (B, N, F); then a linear map.

    Args:
        feature: F.
        labels: how many.
    """

    def __init__(self, feature: int, labels: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, 1, feature) * 0.02)
        self.before = nn.LayerNorm(feature)
        self.attention = nn.MultiheadAttention(feature, _heads(feature), batch_first=True)
        self.after = nn.LayerNorm(feature)
        self.weight = nn.Parameter(torch.randn(labels, feature) * feature**-0.5)
        self.bias = nn.Parameter(torch.zeros(labels))

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens to logits (B, labels)."""
        read = self.before(tokens)
        pooled, _ = self.attention(
            self.query.expand(len(read), -1, -1), read, read, need_weights=False
        )
        return functional.linear(self.after(pooled[:, 0]), self.weight, self.bias)

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> AttentiveHead:
        """One of the shapes of these tensors."""
        return cls(tensors["query"].shape[2], len(tensors["bias"]))


class MLDecoderHead(nn.Module):
    """ML-Decoder (Ridnik et al., WACV 2023): a query for each label reads the last block's tokens.

    One layer of cross-attention and an MLP, without self-attention; a query for each label, so that
    its groups are of one label.

    Args:
        feature: F of the tokens (B, N, F).
        labels: how many.
    """

    def __init__(self, feature: int, labels: int) -> None:
        super().__init__()
        width = min(feature, _WIDEST)
        self.embed = nn.Linear(feature, width)
        self.queries = nn.Parameter(torch.randn(labels, width))
        self.attention = nn.MultiheadAttention(width, _heads(width), 0.1, batch_first=True)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.mlp = nn.Sequential(
            nn.Linear(width, _MLP), nn.ReLU(), nn.Dropout(0.1), nn.Linear(_MLP, width)
        )
        self.weight = nn.Parameter(torch.randn(labels, width) * width**-0.5)
        self.bias = nn.Parameter(torch.zeros(labels))

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens to logits (B, labels)."""
        read = functional.relu(self.embed(tokens))
        asked = self.norms[0](self.queries).expand(len(read), -1, -1)
        found, _ = self.attention(asked, read, read, need_weights=False)
        found = self.norms[1](asked + found)
        found = self.norms[2](found + self.mlp(found))
        return (found * self.weight).sum(dim=2) + self.bias

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> MLDecoderHead:
        """One of the shapes of these tensors."""
        return cls(tensors["embed.weight"].shape[1], len(tensors["bias"]))


class ExitHead(nn.Module):
    """A head after an earlier block and one after the last; confident frames stop at the first.

    A frame is confident where the mean entropy of its labels is small, as in BranchyNet
    (Teerapittayanon et al., ICPR 2016), which has one softmax instead.

    Args:
        early: length of ``exit_feature`` of the earlier block's tokens.
        feature: of the backbone's feature.
        labels: how many.

    Attributes:
        most_entropy: (1,), nats per label up to which a frame stops.
    """

    most_entropy: Tensor

    def __init__(self, early: int, feature: int, labels: int) -> None:
        super().__init__()
        self.exit = nn.Linear(early, labels)
        self.last = nn.Linear(feature, labels)
        self.register_buffer("most_entropy", torch.zeros(1))

    def forward(self, tokens: Tensor, rest: Callable[[Tensor], Tensor]) -> Tensor:
        """The earlier block's tokens (1, N, D) to logits (1, labels).

        Args:
            tokens: of one frame.
            rest: from these tokens to the backbone's feature.
        """
        early: Tensor = self.exit(exit_feature(tokens))
        if mean_entropy(early)[0] <= self.most_entropy[0]:
            return early
        late: Tensor = self.last(rest(tokens))
        return late

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> ExitHead:
        """One of the shapes of these tensors."""
        early, last = tensors["exit.weight"], tensors["last.weight"]
        return cls(early.shape[1], last.shape[1], len(last))


def exit_feature(tokens: Tensor) -> Tensor:
    """What the earlier head reads of tokens (B, N, D): class token and mean patch, (B, 2 D)."""
    one, patches = split_tokens(tokens)
    both = torch.cat([one, patches.mean(dim=1)], dim=1)
    return functional.layer_norm(both, both.shape[1:])


def mean_entropy(logits: Tensor) -> Tensor:
    """The mean over labels of the entropy of each, nats: logits (B, labels) to (B,)."""
    chance = logits.sigmoid()
    return functional.binary_cross_entropy_with_logits(logits, chance, reduction="none").mean(dim=1)


def _heads(width: int) -> int:
    """Attention heads: eight, or as many as divide the width."""
    return next(count for count in (8, 4, 2, 1) if width % count == 0)
