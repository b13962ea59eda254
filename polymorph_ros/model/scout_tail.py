"""The scout's own adapter: what the last K blocks, changed by it, add to the scout's logits."""

from __future__ import annotations

import torch
from torch import Tensor

from polymorph_ros.model.adapter import AdapterWeights
from polymorph_ros.model.bank import AdapterBank
from polymorph_ros.model.tails import ComposedTails


class ScoutTail:
    """One tail for the whole vocabulary and all contexts.

    Args:
        adapter: with a head of V + C rows, the labels in the vocabulary's order, then the contexts.
        tails: the backbone's.
        tail_blocks: K.
        device: where it runs.
        dtype: of its weights, the backbone's.
    """

    def __init__(
        self,
        adapter: AdapterWeights,
        tails: ComposedTails,
        tail_blocks: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._tails = tails
        self._selection = AdapterBank([adapter], tail_blocks, device, dtype).select((0,))

    def __call__(self, tail_input: Tensor) -> Tensor:
        """Tail input (1, N, D) to logits (V + C,) that are added to the scout's."""
        return self._selection.logits(self._tails(tail_input, self._selection))[0]
