"""The tail as it is trained: the last block for the class token only.

Nothing else of the last block's output is read, so its queries, output projection and MLP need only
run on one token, forwards and backwards. Exact up to rounding; about half of a tail's work.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from polymorph_ros.model.backbone import Backbone
from polymorph_ros.model.transformer import Transformer


def tail_feature(backbone: Backbone, tokens: Tensor, tail_blocks: int) -> Tensor:
    """What ``Backbone.tail`` computes, with autograd, through PEFT's layers where there are any.

    Args:
        backbone: networks of convolutions, and families without class token, with rotary positions
            or with a gated MLP, take the longer way.
        tokens: float (B, N, D).
        tail_blocks: K.

    Returns:
        float (B, D).
    """
    network = backbone.network
    if not isinstance(network, Transformer) or network.attention_pooling is not None:
        return backbone.tail(tokens, tail_blocks)
    if network.family.rotary or network.family.gated:
        return backbone.tail(tokens, tail_blocks)
    *blocks, last = backbone.tail_modules(tail_blocks)
    for block in blocks:
        tokens = block(tokens, attention_mask=None)
    token = _class_token(network, last, tokens)
    return cast(Tensor, network.final_norm(token))


def _class_token(network: Transformer, block: nn.Module, tokens: Tensor) -> Tensor:
    """The class token (B, D) after a block that reads all tokens (B, N, D)."""
    family = network.family
    layer = {name: block.get_submodule(path) for name, path in family.spelling.targets.items()}
    norm1, norm2 = (block.get_submodule(name) for name in family.norms)
    activation = block.get_submodule(family.activation)
    normed = norm1(tokens)
    query, key, value = (
        _heads(layer[name](inputs), network.heads)
        for name, inputs in (("q", normed[:, :1]), ("k", normed), ("v", normed))
    )
    attended = functional.scaled_dot_product_attention(query, key, value)
    first = layer["o"](attended.transpose(1, 2).flatten(2))[:, 0]
    token = tokens[:, 0] + _scaled(block, family.scales, 0, first)
    second = layer["fc2"](activation(layer["fc1"](norm2(token))))
    return token + _scaled(block, family.scales, 1, second)


def _heads(tokens: Tensor, heads: int) -> Tensor:
    """(B, N, D) to (B, heads, N, D / heads)."""
    return tokens.unflatten(2, (heads, -1)).transpose(1, 2)


def _scaled(block: nn.Module, scales: tuple[str, str] | None, which: int, branch: Tensor) -> Tensor:
    if scales is None:
        return branch
    scale: torch.Tensor = block.get_submodule(scales[which])(branch)
    return scale
