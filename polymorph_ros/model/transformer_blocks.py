"""Transformer blocks for all active adapters side by side, without merging weights.

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

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from polymorph_ros.model.attention_pool import AttentionPool, apply_norm
from polymorph_ros.model.network import BlockUpdates, Work
from polymorph_ros.model.updates import Updates, apply_linear
from polymorph_ros.model.weights import LinearWeights, NormWeights

# The linear maps of a block that may have LoRA, in the order of a block's computation. Only a
# gated MLP has ``gate``: its hidden layer is activation(gate(x)) * fc1(x), not activation(fc1(x)).
TARGETS = ("q", "k", "v", "o", "gate", "fc1", "fc2")

_Rotation = tuple[Tensor, Tensor]  # cosines and sines (N, d); prefix tokens are turned by nothing


@dataclass(frozen=True)
class BlockWeights:
    """The weights of one pre-norm transformer block.

    Attributes:
        norm1, norm2: layer norms before attention and before the MLP.
        linear: the linear maps by target name; those of ``TARGETS`` that the family has.
        scale1, scale2: layer scales (D,) on the two branches, or None where the family has none.
        activation: the MLP's activation function.
        heads: number of attention heads.
    """

    norm1: NormWeights
    norm2: NormWeights
    linear: Mapping[str, LinearWeights]
    scale1: Tensor | None
    scale2: Tensor | None
    activation: Callable[[Tensor], Tensor]
    heads: int


class Rotations:
    """The rotation of all N tokens, computed once for each N; None without rotary positions.

    Args:
        of_patches: tokens (B, N, D) to cosines and sines (patches, d), or None.
        prefix_tokens: class and register tokens, which are turned by nothing.
    """

    def __init__(
        self, of_patches: Callable[[Tensor], _Rotation | None], prefix_tokens: int
    ) -> None:
        self._of_patches = of_patches
        self._prefix = (0, 0, prefix_tokens, 0)
        self._known: dict[int, _Rotation | None] = {}

    def __call__(self, tokens: Tensor) -> _Rotation | None:
        """Cosines and sines (N, d) for tokens (A, N, D)."""
        count = tokens.shape[1]
        if count not in self._known:
            rotation = self._of_patches(tokens)
            if rotation is not None:
                cos, sin = rotation
                cos = functional.pad(cos, self._prefix, value=1.0)
                rotation = cos, functional.pad(sin, self._prefix)
            self._known[count] = rotation
        return self._known[count]


# How many adapters' MLPs run in one go on a CPU: with more, their hidden layers leave its cache
# between the products, the bias and the activation (8 adapters on a ViT-S by fours: 12 % slower).
_CPU_GROUP = 2


class FullBlock:
    """Every token's output of a block: (1 or A, N, D) to (A, N, D)."""

    def __init__(self, block: BlockWeights, rotations: Rotations) -> None:
        self._block = block
        self._rotations = rotations
        qkv = [block.linear[target] for target in ("q", "k", "v")]
        self._qkv = LinearWeights(
            torch.cat([linear.weight for linear in qkv]), torch.cat([linear.bias for linear in qkv])
        )

    def __call__(self, tokens: Tensor, updates: BlockUpdates, count: int) -> Tensor:
        tokens = self._attend(tokens, updates, count, self._rotations(tokens))
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

    def work(self, tokens: int, *, shared: bool) -> Work:
        """Its maps, on every token."""
        return _work(self._block, tokens, tokens, shared)

    def _attend(
        self, tokens: Tensor, updates: BlockUpdates, count: int, rotation: _Rotation | None
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


class ClassTokenBlock:
    """The class token after the last block and the final norm: (1 or A, N, D) to (A, D)."""

    def __init__(self, block: BlockWeights, rotations: Rotations, final_norm: nn.Module) -> None:
        self._block = block
        self._rotations = rotations
        self._final_norm = final_norm
        self._keys = _heads(block.linear["k"].weight, 0, block.heads)  # (H, d, D)
        self._values = _heads(block.linear["v"].weight, 0, block.heads)  # (H, d, D)

    def __call__(self, tokens: Tensor, updates: BlockUpdates, count: int) -> Tensor:
        rotation = self._rotations(tokens)
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
        return cast(Tensor, self._final_norm(_mlp(row, self._block, updates).squeeze(1)))

    def work(self, tokens: int, *, shared: bool) -> Work:
        """Its maps, on one token."""
        return _work(self._block, 1, tokens, shared)

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


class LastFullBlock:
    """The pooled feature after the last block of a family without class token: (A, D)."""

    def __init__(
        self, block: BlockWeights, rotations: Rotations, norm: nn.Module, pool: AttentionPool
    ) -> None:
        self._full = FullBlock(block, rotations)
        self._norm = norm
        self._pool = pool
        self.work = self._full.work

    def __call__(self, tokens: Tensor, updates: BlockUpdates, count: int) -> Tensor:
        return self._pool(self._norm(self._full(tokens, updates, count)))


def _work(block: BlockWeights, rows: int, tokens: int, shared: bool) -> Work:
    """Maps on so many rows. Of the same tokens for all, base query, key and value come once."""
    once = ("q", "k", "v") if shared else ()
    own = sum(map_.weight.numel() for name, map_ in block.linear.items() if name not in once)
    return Work(rows * own, dict.fromkeys(block.linear, rows), tokens)


def _heads(x: Tensor, dim: int, heads: int) -> Tensor:
    """Splits one dimension of length heads * d into two, (heads, d)."""
    return x.reshape(*x.shape[:dim], heads, -1, *x.shape[dim + 1 :])


def _mlp(tokens: Tensor, block: BlockWeights, updates: BlockUpdates) -> Tensor:
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
