"""What a GPU captures waits for nothing, copies nothing to or from it, and has no shape by data.

Pins: every computation that is captured, and all other work of a frame on the device, for all
backbone families and precisions, every count of adapters, all and pooled tokens, with and without a
scout adapter. It runs on tensors that have shapes but no data (device "meta"), so whatever needs a
value of one fails, and each operation is looked at as it is dispatched. Leaves open what only the
CUDA runtime can refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from helpers.tiny import FAMILIES, random_pixels, unlike_specs, write_tiny_adapter
from polymorph_ros.bundle.manifest import TailTokens
from polymorph_ros.model.adapter import AdapterWeights, read_adapter
from polymorph_ros.model.backbone import Backbone, load_backbone
from polymorph_ros.model.backend import Backend, use_backend
from polymorph_ros.model.bank import AdapterBank
from polymorph_ros.model.polymorph import _scout_scores
from polymorph_ros.model.scout import Scout
from polymorph_ros.model.stack import AdapterStack
from polymorph_ros.model.tails import ComposedTails
from polymorph_ros.model.thumbnail import thumbnails
from polymorph_ros.model.unknown_scene import FeatureStatistics, pooled

TAIL_BLOCKS = 2
STD = (0.2, 0.3, 0.4)
BY_DATA = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "is_nonzero", "equal")


class OnlyCapturable(TorchDispatchMode):
    """Refuses what a capture may not do, of operations with a tensor on the device."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        tensors = [x for x in pytree.tree_leaves((args, kwargs, out)) if isinstance(x, Tensor)]
        devices = {tensor.device.type for tensor in tensors}
        if "meta" not in devices:
            return out  # the CPU's own numbers are known while a capture is written
        name = func.overloadpacket.__name__
        assert devices == {"meta"}, f"{name} copies between {devices}"
        assert not name.startswith(BY_DATA), f"{name} waits for the device"
        if name.startswith("index"):
            kinds = {tensor.dtype for tensor in tensors[1:]}
            assert torch.bool not in kinds and torch.uint8 not in kinds, f"{name} by a mask"
        return out


class NoUploads(TorchFunctionMode):
    """Refuses tensors made of Python's numbers for the device: a copy that is waited for."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in (torch.tensor, torch.as_tensor, torch.asarray):
            assert out.device.type == "cpu", "numbers are copied to the device"
        return out


@contextmanager
def capturing() -> Iterator[None]:
    with torch.inference_mode(), OnlyCapturable(), NoUploads():
        yield


def on_meta(folder: Path, backend: Backend) -> Backbone:
    return use_backend(load_backbone(folder).to("meta"), TAIL_BLOCKS, backend)


def adapters_of(root: Path, folder: Path, family: str) -> list[AdapterWeights]:
    backbone = load_backbone(folder)
    return [
        read_adapter(
            write_tiny_adapter(root / str(i), folder, TAIL_BLOCKS, spec), backbone, TAIL_BLOCKS
        )
        for i, spec in enumerate(unlike_specs(family))
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_trunk_and_tails_of_every_count_can_be_captured(
    backbone_folders: dict[str, Path], tmp_path: Path, family: str
) -> None:
    folder = backbone_folders[family]
    adapters = adapters_of(tmp_path, folder, family)
    for backend in ("float32", "float16", "bfloat16"):
        backbone = on_meta(folder, backend)
        tails = ComposedTails(backbone, TAIL_BLOCKS)
        bank = AdapterBank(adapters, TAIL_BLOCKS, "meta", backbone.dtype)
        stack = AdapterStack(bank.adapters, TAIL_BLOCKS)
        pixels = random_pixels().to("meta")
        with torch.inference_mode():  # a warm-up may do what a capture may not
            backbone.trunk(pixels, TAIL_BLOCKS)
        which: TailTokens
        for which in ("all", "pooled"):
            run(backbone, tails, stack, pixels, which)


def run(
    backbone: Backbone,
    tails: ComposedTails,
    stack: AdapterStack,
    pixels: Tensor,
    which: TailTokens,
) -> None:
    with torch.inference_mode():
        tokens = backbone.trunk(pixels, TAIL_BLOCKS)
        one = stack.gather(torch.arange(1, device="meta"))
        tails(backbone.tail_input(tokens, which), one)  # a warm-up
    for count in range(1, len(stack.adapters) + 1):
        index = torch.arange(count, device="meta")
        with capturing():
            tokens = backbone.trunk(pixels, TAIL_BLOCKS)
            chosen = stack.gather(index)
            logits = chosen.logits(tails(backbone.tail_input(tokens, which), chosen))
        assert logits.shape == (count, 5)
        assert logits.dtype == backbone.dtype


@pytest.mark.parametrize("family", FAMILIES)
def test_scout_statistics_and_thumbnail_need_nothing_from_the_device(
    backbone_folders: dict[str, Path], tmp_path: Path, family: str
) -> None:
    folder = backbone_folders[family]
    backbone = on_meta(folder, "float16")
    adapters = adapters_of(tmp_path, folder, family)
    dim = backbone.token_size(TAIL_BLOCKS)
    scout = Scout(dim, 3, 2, hidden=16, detectors=8).requires_grad_(False).to("meta")
    own = AdapterBank(adapters[1:2], TAIL_BLOCKS, "meta", backbone.dtype).select((0,))
    tails = ComposedTails(backbone, TAIL_BLOCKS)
    statistics = FeatureStatistics(torch.zeros(2 * dim), torch.eye(2 * dim)).to("meta")
    pixels = random_pixels().to("meta")
    with torch.inference_mode():
        tokens = backbone.trunk(pixels, TAIL_BLOCKS)
        own.logits(tails(tokens, own))
        thumbnails(pixels, STD)
    with capturing():
        alone = _scout_scores(scout, None)(tokens)
        deep = _scout_scores(scout, lambda tokens: own.logits(tails(tokens, own))[0])(tokens)
        distance = statistics.distance(tokens.float())
        feature = pooled(tokens.float())
        thumbnail = thumbnails(pixels, STD)
    assert alone.shape == deep.shape == (5,)
    assert thumbnail.shape[:2] == (1, 3)
    assert distance.shape == (1,) and feature.shape == (1, 2 * dim)


@pytest.mark.parametrize(
    "forbidden",
    [
        lambda x: x.sum().item(),
        lambda x: x.cpu(),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: torch.unique(x),
        lambda x: x.masked_select(x > 0),
        lambda x: x.masked_fill_(x > 0, 0.0).index_put_((x > 0,), torch.zeros((), device="meta")),
        lambda x: x + torch.ones(3),
        lambda x: x.copy_(torch.ones(3)),
        lambda x: torch.tensor([1.0, 2.0, 3.0], device=x.device),
        lambda x: float(x.amax()),
        lambda x: bool((x > 0).any()),
    ],
)
def test_what_a_capture_may_not_do_is_found(forbidden: Callable[[Tensor], object]) -> None:
    x = torch.empty(3, device="meta")

    with pytest.raises((AssertionError, RuntimeError, NotImplementedError)), capturing():
        forbidden(x)
