"""The bundle's adapters, run as one would without composing them: the same scores, other costs.

Each is a model for the engine: trunk, scout and policy are Polymorph's own, so the same adapters
are active. What differs is how an adapter's answer is computed: each runs the whole backbone on
the picture, as models and adapters from the shelf do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from peft import PeftModel
from torch import Tensor, nn

from polymorph_ros.bundle.manifest import HEAD_FILE
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.model.backbone import Backbone, load_backbone
from polymorph_ros.model.polymorph import PolymorphModel, Scores
from polymorph_ros.model.tensor_file import read_tensors


class WholeForwardModel(PolymorphModel, ABC):
    """A bundle's model whose adapters' answers come from whole forward passes."""

    @classmethod
    def of(cls, bundle: Bundle, device: str) -> WholeForwardModel:
        """Load the bundle's model, and what runs its adapters in this way."""
        model = cast(WholeForwardModel, cls.from_bundle(bundle, device))
        model._pixels = torch.empty(0)
        model._heads = [_head(bundle, index, model.device) for index in range(len(model.contexts))]
        model.prepare(bundle)
        return model

    _pixels: Tensor
    _heads: list[nn.Linear]

    @abstractmethod
    def prepare(self, bundle: Bundle) -> None:
        """Load what ``features`` needs."""

    @abstractmethod
    def features(self, pixels: Tensor, adapters: Sequence[int]) -> list[Tensor]:
        """For each adapter the pooled feature (D,) of one picture (1, 3, S, S)."""

    def whole(self, backbone: Backbone, pixels: Tensor) -> Tensor:
        """A whole forward of pictures (B, 3, S, S) to pooled features (B, D)."""
        tokens = backbone.trunk(pixels, self._tail_blocks)
        inputs = backbone.tail_input(tokens, self._tail_tokens)
        return backbone.tail(inputs, self._tail_blocks)

    def preprocess(self, image: NDArray[np.uint8]) -> Tensor:
        self._pixels = super().preprocess(image)
        return self._pixels

    @torch.inference_mode()
    def tails(self, tokens: Tensor, adapters: Sequence[int]) -> list[Scores]:
        features = self.features(self._pixels, adapters)
        return [
            self._heads[adapter](feature).sigmoid().cpu().numpy()
            for adapter, feature in zip(adapters, features, strict=True)
        ]


class SwitchedSpecialists(WholeForwardModel):
    """A model of its own for each context, adapters merged in for good: all stay in memory."""

    def prepare(self, bundle: Bundle) -> None:
        self._specialists = []
        for index in range(len(self.contexts)):
            backbone = _backbone(bundle, self.device)
            _adapted(backbone, bundle, [index]).merge_and_unload()
            self._specialists.append(backbone)

    def features(self, pixels: Tensor, adapters: Sequence[int]) -> list[Tensor]:
        return [self.whole(self._specialists[adapter], pixels)[0] for adapter in adapters]


class MergedLora(WholeForwardModel):
    """One model; an adapter is merged into its weights before it runs, and out for the next."""

    def prepare(self, bundle: Bundle) -> None:
        self._own = _backbone(bundle, self.device)
        self._peft = _adapted(self._own, bundle, range(len(self.contexts)))
        self._merged: int | None = None

    def features(self, pixels: Tensor, adapters: Sequence[int]) -> list[Tensor]:
        # the one that is merged already goes first, so that a steady cover of one merges nothing
        order = sorted(adapters, key=lambda adapter: adapter != self._merged)
        found: dict[int, Tensor] = {}
        for adapter in order:
            self._merge(adapter)
            found[adapter] = self.whole(self._own, pixels)[0]
        return [found[adapter] for adapter in adapters]

    def _merge(self, adapter: int) -> None:
        if adapter == self._merged:
            return
        if self._merged is not None:
            self._peft.unmerge_adapter()
        self._peft.merge_adapter([self.context_names[adapter]])
        self._merged = adapter


class PeftMixedBatch(WholeForwardModel):
    """PEFT's own way to run several adapters at once: a batch with an adapter for each row."""

    def prepare(self, bundle: Bundle) -> None:
        self._own = _backbone(bundle, self.device)
        self._peft = _adapted(self._own, bundle, range(len(self.contexts)))

    def features(self, pixels: Tensor, adapters: Sequence[int]) -> list[Tensor]:
        batch = pixels.expand(len(adapters), -1, -1, -1)
        names = [self.context_names[adapter] for adapter in adapters]
        # what PEFT's own forward does with adapter_names, around our calls of the same modules
        with self._peft._enable_peft_forward_hooks(adapter_names=names):
            return list(self.whole(self._own, batch))


def _backbone(bundle: Bundle, device: torch.device) -> Backbone:
    revision = bundle.manifest.backbone.revision
    return load_backbone(bundle.backbone_location, revision, download=False).to(device)


def _adapted(backbone: Backbone, bundle: Bundle, adapters: Sequence[int]) -> Any:
    """PEFT's model on a backbone, whose modules it changes, with some of the bundle's adapters."""
    first, *others = adapters
    names = [context.name for context in bundle.manifest.contexts]
    model = PeftModel.from_pretrained(
        backbone.model, bundle.adapter_folder(first), adapter_name=names[first]
    )
    for adapter in others:
        model.load_adapter(bundle.adapter_folder(adapter), adapter_name=names[adapter])
    return model.to(backbone.device).eval()


def _head(bundle: Bundle, adapter: int, device: torch.device) -> nn.Linear:
    tensors = read_tensors(bundle.adapter_folder(adapter) / HEAD_FILE)
    labels, width = tensors["weight"].shape
    head = nn.Linear(width, labels)
    head.load_state_dict(tensors)
    return head.requires_grad_(False).to(device)
