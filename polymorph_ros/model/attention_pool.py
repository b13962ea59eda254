"""Attention pooling with one learned query, as SigLIP has it, without forming keys or values."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from polymorph_ros.model.updates import apply_linear
from polymorph_ros.model.weights import NormWeights, read_linear, read_norm


class AttentionPool:
    """Tokens (A, N, D) after the final norm to one feature (A, D) each.

    The query is the same for every picture and adapter, so what each head looks for, ``W_k^T q``,
    is computed once; values are taken of the attention-weighted mean token. The key's bias shifts
    all scores of a head alike and drops out of the softmax.

    Args:
        head: transformers' pooling head; later changes of its weights are not followed.
    """

    def __init__(self, head: nn.Module) -> None:
        attention = cast(nn.MultiheadAttention, head.get_submodule("attention"))
        joined = attention.in_proj_weight.detach()
        wq, wk, wv = joined.chunk(3)
        bq, _, bv = attention.in_proj_bias.detach().chunk(3)
        heads, dim = attention.num_heads, joined.shape[1]
        query = functional.linear(head.get_parameter("probe").detach()[0, 0], wq, bq)
        query = query.view(heads, -1) * (dim // heads) ** -0.5
        self._probe = torch.einsum("hd,hdn->hn", query, wk.view(heads, -1, dim))  # (H, D)
        self._values = wv.view(heads, -1, dim).transpose(1, 2)  # (H, D, d)
        self._value_bias = bv
        self._out = read_linear(attention.out_proj)
        self._norm = read_norm(head.get_submodule("layernorm"))
        self._fc1 = read_linear(head.get_submodule("mlp.fc1"))
        self._fc2 = read_linear(head.get_submodule("mlp.fc2"))
        self._activation = head.get_submodule("mlp.activation_fn")

    def __call__(self, tokens: Tensor) -> Tensor:
        weights = torch.matmul(tokens, self._probe.T).softmax(dim=1)  # (A, N, H)
        mean = torch.matmul(weights.transpose(1, 2), tokens)  # (A, H, D)
        read = torch.matmul(mean.transpose(0, 1), self._values).transpose(0, 1).flatten(1)
        pooled = apply_linear(read + self._value_bias, self._out)
        hidden = self._activation(apply_linear(apply_norm(pooled, self._norm), self._fc1))
        return pooled + apply_linear(hidden, self._fc2)


def apply_norm(x: Tensor, norm: NormWeights) -> Tensor:
    """The layer norm of each row: float (..., D), of the same shape."""
    return functional.layer_norm(x, norm.weight.shape, norm.weight, norm.bias, norm.eps)
