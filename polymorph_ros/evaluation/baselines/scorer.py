"""Run a trained baseline: a picture's trunk tokens to the scores of all labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from polymorph_ros.bundle.manifest import HEAD_FILE
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.evaluation.baselines.heads import (
    AttentiveHead,
    CosineHead,
    ExitHead,
    MLDecoderHead,
    PooledHead,
)
from polymorph_ros.evaluation.baselines.trained import OWN_BACKBONE, Form, TrainedBaseline
from polymorph_ros.model.adapter import read_adapter
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.bank import AdapterBank
from polymorph_ros.model.polymorph import Scores
from polymorph_ros.model.tails import ComposedTails
from polymorph_ros.model.tensor_file import read_tensors

_Logits = Callable[[Tensor], Tensor]
_Head = PooledHead | AttentiveHead | MLDecoderHead | ExitHead

_HEADS: Mapping[Form, type[_Head]] = {
    "plain": PooledHead,
    "zero_shot": CosineHead,
    "attentive": AttentiveHead,
    "ml_decoder": MLDecoderHead,
    "early_exit": ExitHead,
}


class Scorer:
    """A baseline's backbone, tail and head.

    A LoRA runs in Polymorph's own composed tails, so that it is as fast as one adapter there.

    Args:
        baseline: what runs.
        bundle: whose backbone it runs on, unless it has its own.
        device: where.
    """

    def __init__(self, baseline: TrainedBaseline, bundle: Bundle, device: torch.device) -> None:
        own = baseline.text.backbone == "own"
        location = str(baseline.folder / OWN_BACKBONE) if own else bundle.backbone_location
        revision = None if own else bundle.manifest.backbone.revision
        self._backbone = load_backbone(location, revision, download=False).to(device)
        self._blocks = baseline.text.tail_blocks
        self._tail_tokens = bundle.manifest.tail_tokens
        prepare = self._lora if baseline.text.form == "lora" else self._head
        self._logits = prepare(baseline)

    @torch.inference_mode()
    def trunk(self, pixels: Tensor) -> Tensor:
        """Pixels (1, 3, S, S) to tokens (1, N, D)."""
        return self._backbone.trunk(pixels, self._blocks)

    @torch.inference_mode()
    def scores(self, tokens: Tensor) -> Scores:
        """Trunk tokens (1, N, D) to P(label), float32 (labels,)."""
        scores: Scores = self._logits(tokens).float().sigmoid().cpu().numpy()
        return scores

    def _lora(self, baseline: TrainedBaseline) -> _Logits:
        backbone = self._backbone
        adapter = read_adapter(baseline.folder, backbone, self._blocks)
        bank = AdapterBank([adapter], self._blocks, backbone.device, backbone.dtype)
        tails, only = ComposedTails(backbone, self._blocks), bank.select([0])

        def logits(tokens: Tensor) -> Tensor:
            inputs = backbone.tail_input(tokens, self._tail_tokens)
            return only.logits(tails(inputs, only))[0]

        return logits

    def _head(self, baseline: TrainedBaseline) -> _Logits:
        tensors = read_tensors(baseline.folder / HEAD_FILE)
        head = _HEADS[baseline.text.form].of(tensors)
        head.load_state_dict(tensors)
        head.eval().requires_grad_(False).to(self._backbone.device)
        read = self._backbone.tail
        if isinstance(head, (AttentiveHead, MLDecoderHead)):
            read = self._backbone.last_tokens

        def logits(tokens: Tensor) -> Tensor:
            if isinstance(head, ExitHead):
                found: Tensor = head(tokens, lambda early: read(early, self._blocks))
            else:
                found = head(read(tokens, self._blocks))
            return found[0]

        return logits
