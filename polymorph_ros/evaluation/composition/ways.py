"""The ways to get the answers of several adapters on one picture."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from polymorph_ros.bundle.manifest import TailTokens
from polymorph_ros.evaluation.composition.synthetic import (
    Size,
    adapter_name,
    add_adapters,
    make_backbone,
    rebuilt,
    weights_of,
)
from polymorph_ros.model.backbone import Backbone
from polymorph_ros.model.bank import AdapterBank, Head
from polymorph_ros.model.cuda_graphs import GraphedModel
from polymorph_ros.model.gpu import GraphedRun
from polymorph_ros.model.tails import ComposedTails

METHODS = (
    "composed",
    "bare",
    "peft_sequential",
    "peft_mixed_batch",
    "merge_unmerge",
    "separate_models",
)


class Ways:
    """All methods on one backbone and K, each with the same ``count`` adapters and heads.

    Every method but ``bare`` gives the logits (active x cameras, labels) of the first ``active``
    adapters, all cameras of the first one first; ``bare`` gives the pooled features.

    Args:
        size: the backbone's measures.
        tail_blocks: K.
        count: how many adapters there are.
        separate: how many separate fine-tuned models there are room for.
        device: where everything runs.
        tail_tokens: what the composed tails get; all other methods get all tokens.
        dtype: what everything computes in.
        cameras: pictures; all methods take them as one batch, but for the composed tails, which
            run picture by picture.
    """

    def __init__(
        self,
        size: Size,
        tail_blocks: int,
        count: int,
        separate: int,
        device: torch.device,
        tail_tokens: TailTokens = "all",
        dtype: torch.dtype = torch.float32,
        *,
        cameras: int = 1,
    ) -> None:
        self._backbone = make_backbone(size, device, dtype)
        self._tail_blocks = tail_blocks
        self._tail_tokens = tail_tokens
        below = make_backbone(size, device)  # PEFT changes the model that it is given
        self._peft: Any = add_adapters(below, tail_blocks, count)
        adapters = [weights_of(self._peft, below, tail_blocks, i) for i in range(count)]
        self._peft.to(dtype)
        self._bank = AdapterBank(adapters, tail_blocks, device, dtype)
        self._tails = ComposedTails(self._backbone, tail_blocks)
        self._heads: list[Head] = [adapter.head for adapter in self._bank.adapters]
        self._separate = [self._fine_tuned(index) for index in range(separate)]
        torch.manual_seed(2)
        pixels = torch.randn(cameras, 3, size.picture, size.picture)
        self.pixels = pixels.to(device, dtype)
        self._graphs: GraphedModel | None = None
        self._ways: Mapping[str, Callable[[int], Tensor]] = {
            "composed": self._composed,
            "bare": self._bare,
            "peft_sequential": self._peft_sequential,
            "peft_mixed_batch": self._peft_mixed_batch,
            "merge_unmerge": self._merge_unmerge,
            "separate_models": self._separate_models,
        }

    def run(self, method: str, active: int) -> Tensor:
        """One frame by one method."""
        return self._ways[method](active)

    def fastest(self, method: str, active: int) -> Callable[[], Tensor]:
        """A method as the fastest way to run it does: what is timed.

        On a GPU ``composed``, ``bare`` and ``separate_models`` are replayed as CUDA graphs, as the
        node replays its trunk and tails; PEFT's ways change their modules or weights between
        forwards.
        """
        if self.pixels.is_cuda and method == "bare":
            captured = GraphedRun(self._feature_of, self.pixels)
            return lambda: captured(self.pixels)
        if self.pixels.is_cuda and method == "composed":
            return partial(self._composed_by_graphs, self._capture(), self._capture_trunk(), active)
        if self.pixels.is_cuda and method == "separate_models":
            graphs = [GraphedRun(self._answer_of(i), self.pixels) for i in range(active)]
            return lambda: torch.cat([graph(self.pixels) for graph in graphs])
        return partial(self.run, method, active)

    def _capture(self) -> GraphedModel:
        """Trunk and tails of one picture as CUDA graphs, captured once."""
        if self._graphs is None:
            self._graphs = GraphedModel(
                *(self._backbone, self._tails, self._bank),
                *(self._tail_blocks, self._tail_tokens, self.pixels[:1]),
            )
        return self._graphs

    def _capture_trunk(self) -> Callable[[Tensor], Tensor]:
        """The trunk of all pictures as a CUDA graph."""
        if len(self.pixels) == 1:
            return self._capture().trunk
        return GraphedRun(lambda x: self._backbone.trunk(x, self._tail_blocks), self.pixels)

    def _composed_by_graphs(
        self, graphs: GraphedModel, trunk: Callable[[Tensor], Tensor], active: int
    ) -> Tensor:
        tokens = trunk(self.pixels)
        # One camera's are read where they are: a part of them, even all, would be copied.
        pictures = [tokens] if len(tokens) == 1 else tokens.split(1)
        return _by_adapter([torch.stack(graphs.tails(each, range(active))) for each in pictures])

    def weight_bytes(self, method: str, active: int) -> int:
        """Bytes of the weights that a method needs for so many adapters."""
        model = sum(p.numel() * p.element_size() for p in self._backbone.model.parameters())
        if method == "bare":
            return model
        if method == "separate_models":
            return active * model
        maps = self._bank.adapter(0).maps.values()
        return model + active * sum(change.down.nbytes + change.up.nbytes for change in maps)

    def _composed(self, active: int) -> Tensor:
        tokens = self._backbone.trunk(self.pixels, self._tail_blocks)
        chosen = self._bank.select(range(active))
        inputs = self._backbone.tail_input(tokens, self._tail_tokens).split(1)
        return _by_adapter(
            [torch.stack(chosen.logits(self._tails(each, chosen))) for each in inputs]
        )

    def _bare(self, active: int) -> Tensor:
        return self._feature_of(self.pixels)

    def _feature_of(self, pixels: Tensor) -> Tensor:
        return self._backbone.feature(pixels)

    def _peft_sequential(self, active: int) -> Tensor:
        answers = []
        for index in range(active):
            self._peft.set_adapter(adapter_name(index), inference_mode=True)
            answers.append(self._answer(self._peft(self.pixels), index))
        return torch.cat(answers)

    def _peft_mixed_batch(self, active: int) -> Tensor:
        cameras = len(self.pixels)
        names = [adapter_name(index) for index in range(active) for _ in range(cameras)]
        output = self._peft(self.pixels.repeat(active, 1, 1, 1), adapter_names=names)
        rows = _feature(output).split(cameras)
        return torch.cat([_apply(self._heads[i], row) for i, row in enumerate(rows)])

    def _merge_unmerge(self, active: int) -> Tensor:
        answers = []
        for index in range(active):
            self._peft.base_model.merge_adapter([adapter_name(index)])
            answers.append(self._answer(self._peft(self.pixels), index))
            self._peft.base_model.unmerge_adapter()
        return torch.cat(answers)

    def _separate_models(self, active: int) -> Tensor:
        return torch.cat([self._answer_of(index)(self.pixels) for index in range(active)])

    def _answer_of(self, index: int) -> Callable[[Tensor], Tensor]:
        """What a separate model makes of pixels."""
        return lambda pixels: _apply(self._heads[index], self._separate[index].feature(pixels))

    def _fine_tuned(self, index: int) -> Backbone:
        """A model of its own with one adapter's change in its weights, as PEFT merges it."""
        merged, base = copy.deepcopy(self._backbone.model), self._peft.get_base_model()
        for name in self._backbone.lora_targets(self._tail_blocks):
            change = base.get_submodule(name).get_delta_weight(adapter_name(index))
            weight = merged.get_submodule(name).get_parameter("weight")
            weight.data += change.to(weight.dtype)
        return rebuilt(self._backbone, merged)

    def _answer(self, output: Any, index: int) -> Tensor:
        return _apply(self._heads[index], _feature(output))


def _by_adapter(answers: Sequence[Tensor]) -> Tensor:
    """The answers (active, labels) of each picture, as (active x pictures, labels)."""
    if len(answers) == 1:
        return answers[0]
    return torch.stack(list(answers), dim=1).flatten(0, 1)


def _feature(output: Any) -> Tensor:
    """The pooled feature (B, D) in a model's output: a ViT's without pooling, or a ConvNet's."""
    pooled: Tensor | None = getattr(output, "pooler_output", None)
    token: Tensor = output.last_hidden_state[:, 0]
    return token if pooled is None else pooled.flatten(1)


def _apply(head: Head, feature: Tensor) -> Tensor:
    return nn.functional.linear(feature, head.weight, head.bias)
