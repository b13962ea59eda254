"""The bundle's adapters, run as one would without composing them: the same scores, other costs.

Trunk, scout and policy are Polymorph's own, so the same adapters are active. What differs is how
an adapter's answer is computed: by a forward of the whole backbone on the picture, as models and
adapters from the shelf do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn

from polymorph_ros.bundle.manifest import HEAD_FILE
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.evaluation.baselines.entry import Entry, Source
from polymorph_ros.evaluation.methods.engine_method import EngineMethod
from polymorph_ros.evaluation.methods.method import Method
from polymorph_ros.model.backbone import Backbone, load_backbone
from polymorph_ros.model.polymorph import Scores
from polymorph_ros.model.tensor_file import read_tensors


class WholeForward(ABC):
    """Answers of a bundle's adapters by whole forward passes of the picture.

    Args:
        bundle: whose adapters.
        device: where they run.
    """

    def __init__(self, bundle: Bundle, device: torch.device) -> None:
        manifest = bundle.manifest
        self._tail_blocks, self._tail_tokens = manifest.tail_blocks, manifest.tail_tokens
        self._names = [context.name for context in manifest.contexts]
        self._heads = [_head(bundle, index, device) for index in range(len(self._names))]

    @abstractmethod
    def features(self, pixels: Tensor, adapters: Sequence[int]) -> list[Tensor]:
        """For each adapter the pooled feature (D,) of one picture (1, 3, S, S)."""

    @torch.inference_mode()
    def __call__(self, pixels: Tensor, tokens: Tensor, adapters: Sequence[int]) -> list[Scores]:
        """The adapters' answers, as ``PolymorphModel.tails`` gives them."""
        features = self.features(pixels, adapters)
        return [
            self._heads[adapter](feature).sigmoid().cpu().numpy()
            for adapter, feature in zip(adapters, features, strict=True)
        ]

    def whole(self, backbone: Backbone, pixels: Tensor) -> Tensor:
        """A whole forward of pictures (B, 3, S, S) to pooled features (B, D)."""
        tokens = backbone.trunk(pixels, self._tail_blocks)
        inputs = backbone.tail_input(tokens, self._tail_tokens)
        return backbone.tail(inputs, self._tail_blocks)


class SwitchedSpecialists(WholeForward):
    """A model of its own for each context, adapters merged in for good: all stay in memory."""

    def __init__(self, bundle: Bundle, device: torch.device) -> None:
        super().__init__(bundle, device)
        self._specialists = []
        for index in range(len(self._names)):
            backbone = _backbone(bundle, device)
            _adapted(backbone, bundle, [index]).merge_and_unload()
            self._specialists.append(backbone)

    def features(self, pixels: Tensor, adapters: Sequence[int]) -> list[Tensor]:
        return [self.whole(self._specialists[adapter], pixels)[0] for adapter in adapters]


class _OneModel(WholeForward):
    """One model with PEFT's layers for all adapters."""

    def __init__(self, bundle: Bundle, device: torch.device) -> None:
        super().__init__(bundle, device)
        self._backbone = _backbone(bundle, device)
        self._peft = _adapted(self._backbone, bundle, range(len(self._names)))


class MergedLora(_OneModel):
    """One model; an adapter is merged into its weights before it runs, and out for the next."""

    _merged: int | None = None

    def features(self, pixels: Tensor, adapters: Sequence[int]) -> list[Tensor]:
        # the one that is merged already goes first, so that a steady cover of one merges nothing
        order = sorted(adapters, key=lambda adapter: adapter != self._merged)
        found: dict[int, Tensor] = {}
        for adapter in order:
            self._merge(adapter)
            found[adapter] = self.whole(self._backbone, pixels)[0]
        return [found[adapter] for adapter in adapters]

    def _merge(self, adapter: int) -> None:
        if adapter == self._merged:
            return
        if self._merged is not None:
            self._peft.unmerge_adapter()
        self._peft.merge_adapter([self._names[adapter]])
        self._merged = adapter


class PeftMixedBatch(_OneModel):
    """PEFT's own way to run several adapters at once: a batch with an adapter for each row."""

    def features(self, pixels: Tensor, adapters: Sequence[int]) -> list[Tensor]:
        batch = pixels.expand(len(adapters), -1, -1, -1)
        names = [self._names[adapter] for adapter in adapters]
        # what PEFT's own forward does with adapter_names, around our calls of the same modules
        with self._peft._enable_peft_forward_hooks(adapter_names=names):
            return list(self.whole(self._backbone, batch))


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


def _engine(way: type[WholeForward]) -> Callable[[str, Source], Method]:
    def make(name: str, source: Source) -> EngineMethod:
        model = source.model()
        answers = way(source.bundle, model.device)
        return EngineMethod(name, model, source.bundle, run_adapters=answers)

    return make


BASELINES = (
    Entry(
        "switched_specialists", "a whole model per context, switched", _engine(SwitchedSpecialists)
    ),
    Entry("merged_lora", "adapters merged into one model and out again", _engine(MergedLora)),
    Entry("peft_mixed_batch", "PEFT's batch with an adapter per row", _engine(PeftMixedBatch)),
)
