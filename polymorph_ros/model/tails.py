"""Composed tails: the last K blocks for all active adapters side by side, without merging weights.

Exact, up to rounding, against running each adapter on its own. What makes it cheap:

- The first tail block gets the same tokens for every adapter: its layer norm and its base
  query, key and value are computed once.
- The last tail block needs only the class token's row. With one query per head, scores are
  ``q . (W_k x) = (W_k^T q) . x`` and the head's output is ``W_v (sum_n p_n x_n)``: keys and
  values of the tokens are never formed. The key's bias shifts all scores of a head alike and
  drops out of the softmax; the value's bias passes through it, since the weights sum to one.
  With rotary positions every token turns its key differently, so keys are formed; values are not.
- A family with attention pooling needs every row of the last block. There only the pooling itself
  is cheap: no keys and values of the tokens, and its MLP on one row.
- Everything else is one product over all adapters, base and low-rank parts alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from polymorph_ros.model.attention_pool import AttentionPool, apply_norm
from polymorph_ros.model.backbone import Backbone
from polymorph_ros.model.family import BlockWeights, LinearWeights
from polymorph_ros.model.updates import Updates, apply_linear

_Updates = Mapping[str, Updates]
_Rotation = tuple[Tensor, Tensor]  # cosines and sines (N, d); prefix tokens are turned by nothing

# How many adapters' MLPs run in one go on a CPU: with more, their hidden layers leave its cache
# between the products, the bias and the activation (8 adapters on a ViT-S by fours: 12 % slower).
_CPU_GROUP = 2


class ActiveAdapters(Protocol):
    """Some adapters side by side: how many, and their updates of each tail block."""

    @property
    def count(self) -> int:
        """How many."""
        ...

    @property
    def blocks(self) -> Sequence[_Updates]:
        """For each tail block, the updates of its linear maps by target name."""
        ...


class ComposedTails:
    """The backbone's last K blocks and final norm, for any stack of adapters.

    Args:
        backbone: already on its device; later changes of its weights are not followed.
        tail_blocks: K.
    """

    def __init__(self, backbone: Backbone, tail_blocks: int) -> None:
        blocks = backbone.tail_weights(tail_blocks)
        pooling = backbone.attention_pooling
        self._pool = None if pooling is None else AttentionPool(pooling)
        self._last = _ClassTokenBlock(blocks.pop()) if pooling is None else None
        self._full = [_FullBlock(block) for block in blocks]
        self._norm = backbone.final_norm
        self._backbone = backbone
        self._rotations: dict[int, _Rotation | None] = {}

    def __call__(self, tokens: Tensor, adapters: ActiveAdapters) -> Tensor:
        """Trunk tokens (1, N, D) of one picture to pooled features (A, D), a row per adapter."""
        rotation = self._rotation(tokens)
        for block, updates in zip(self._full, adapters.blocks, strict=False):
            tokens = block(tokens, updates, adapters.count, rotation)
        if self._last is not None:
            tokens = self._last(tokens, adapters.blocks[-1], adapters.count, rotation)
        features: Tensor = self._norm(tokens)
        return features if self._pool is None else self._pool(features)

    def _rotation(self, tokens: Tensor) -> _Rotation | None:
        """The rotation of all N tokens, computed once for each N."""
        count = tokens.shape[1]
        if count not in self._rotations:
            rotation = self._backbone.rotation(tokens)
            if rotation is not None:
                cos, sin = rotation
                prefix = (0, 0, self._backbone.prefix_tokens, 0)
                rotation = functional.pad(cos, prefix, value=1.0), functional.pad(sin, prefix)
            self._rotations[count] = rotation
        return self._rotations[count]


class _FullBlock:
    """Every token's output of a block: (1 or A, N, D) to (A, N, D)."""

    def __init__(self, block: BlockWeights) -> None:
        self._block = block
        qkv = [block.linear[target] for target in ("q", "k", "v")]
        self._qkv = LinearWeights(
            torch.cat([linear.weight for linear in qkv]), torch.cat([linear.bias for linear in qkv])
        )

    def __call__(
        self, tokens: Tensor, updates: _Updates, count: int, rotation: _Rotation | None
    ) -> Tensor:
        tokens = self._attend(tokens, updates, count, rotation)
        group = _CPU_GROUP if tokens.device.type == "cpu" else count
        parts = [
            _mlp(
                tokens[first : first + group],
                self._block,
                {target: change.part(first, group) for target, change in updates.items()},
            )
            for first in range(0, count, group)
        ]
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def _attend(
        self, tokens: Tensor, updates: _Updates, count: int, rotation: _Rotation | None
    ) -> Tensor:
        normed = apply_norm(tokens, self._block.norm1)
        base = apply_linear(normed, self._qkv).chunk(3, dim=2)
        queries, keys, values = (
            self._project(part, normed, updates.get(target))
            for target, part in zip(("q", "k", "v"), base, strict=True)
        )
        mixed = functional.scaled_dot_product_attention(
            _rotate(queries, rotation).expand(count, -1, -1, -1),
            _rotate(keys, rotation).expand(count, -1, -1, -1),
            values.expand(count, -1, -1, -1),
        )
        joined = mixed.transpose(1, 2).flatten(2)
        out = apply_linear(joined, self._block.linear["o"], updates.get("o"))
        return _add_branch(tokens, out, self._block.scale1)

    def _project(self, base: Tensor, normed: Tensor, change: Updates | None) -> Tensor:
        """The base's query, key or value with each adapter's own: (1 or A, H, N, d)."""
        if change is not None:
            base = change.add_to(base, normed)
        return _heads(base, 2, self._block.heads).transpose(1, 2)


class _ClassTokenBlock:
    """The class token's output of the last block: (1 or A, N, D) to (A, D)."""

    def __init__(self, block: BlockWeights) -> None:
        self._block = block
        self._keys = _heads(block.linear["k"].weight, 0, block.heads)  # (H, d, D)
        self._values = _heads(block.linear["v"].weight, 0, block.heads)  # (H, d, D)

    def __call__(
        self, tokens: Tensor, updates: _Updates, count: int, rotation: _Rotation | None
    ) -> Tensor:
        normed = apply_norm(tokens, self._block.norm1)
        row = normed[:, :1].expand(count, -1, -1)
        query = apply_linear(row, self._block.linear["q"], updates.get("q"))
        query = _heads(query.squeeze(1), 1, self._block.heads)
        query = query * query.shape[2] ** -0.5
        if rotation is None:
            probe = self._probe(query, updates.get("k"))
            scores = torch.matmul(probe, normed.transpose(1, 2))
        else:
            keys = apply_linear(normed, self._block.linear["k"], updates.get("k"))
            keys = _rotate(_heads(keys, 2, self._block.heads).transpose(1, 2), rotation)
            scores = torch.matmul(keys, query.unsqueeze(3)).squeeze(3)
        weights = scores.softmax(dim=2)  # (A, H, N)
        mean = torch.matmul(weights, normed)  # (A, H, D)
        mixed = self._read(mean, updates.get("v")).unsqueeze(1)
        out = apply_linear(mixed, self._block.linear["o"], updates.get("o"))
        row = _add_branch(tokens[:, :1], out, self._block.scale1)
        return _mlp(row, self._block, updates).squeeze(1)

    def _probe(self, query: Tensor, keys: Updates | None) -> Tensor:
        """What each head's query (A, H, d) looks for in the tokens: W_k^T q, (A, H, D)."""
        probe = torch.matmul(query.transpose(0, 1), self._keys).transpose(0, 1).contiguous()
        return probe if keys is None else keys.add_to_probe(probe, query)

    def _read(self, mean: Tensor, values: Updates | None) -> Tensor:
        """Attention-weighted mean tokens (A, H, D) to the heads' joined output (A, D)."""
        read = torch.matmul(mean.transpose(0, 1), self._values.transpose(1, 2))
        read = read.transpose(0, 1).contiguous()
        if values is not None:
            read = values.add_to_read(read, mean)
        return read.flatten(1) + self._block.linear["v"].bias


def _heads(x: Tensor, dim: int, heads: int) -> Tensor:
    """Splits one dimension of length heads * d into two, (heads, d)."""
    return x.reshape(*x.shape[:dim], heads, -1, *x.shape[dim + 1 :])


def _mlp(tokens: Tensor, block: BlockWeights, updates: _Updates) -> Tensor:
    normed = apply_norm(tokens, block.norm2)
    hidden = apply_linear(normed, block.linear["fc1"], updates.get("fc1"))
    if "gate" in block.linear:
        gate = apply_linear(normed, block.linear["gate"], updates.get("gate"))
        hidden = hidden.mul_(block.activation(gate))
    else:
        hidden = block.activation(hidden)
    out = apply_linear(hidden, block.linear["fc2"], updates.get("fc2"))
    return _add_branch(tokens, out, block.scale2)


def _rotate(x: Tensor, rotation: _Rotation | None) -> Tensor:
    """Queries or keys (A, H, N, d), each pair (i, i + d/2) turned by its angle."""
    if rotation is None:
        return x
    cos, sin = rotation
    first, second = x.chunk(2, dim=3)
    return x * cos + torch.cat((-second, first), dim=3) * sin


def _add_branch(residual: Tensor, branch: Tensor, scale: Tensor | None) -> Tensor:
    """The residual (1 or A, N, D) plus a branch (A, N, D), whose memory may be used."""
    return branch.add_(residual) if scale is None else torch.addcmul(residual, branch, scale)
