"""Read one adapter: a plain PEFT LoRA folder and the head for its context's labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from polymorph_ros.bundle.manifest import ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, HEAD_FILE
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.backbone import Backbone
from polymorph_ros.model.lora_config import LoraSettings, read_lora_config
from polymorph_ros.model.network import LoraMap
from polymorph_ros.model.tensor_file import check_shape, read_tensors


@dataclass(frozen=True)
class LowRank:
    """One low-rank update: ``y += scaling * (x @ down.T) @ up.T``.

    Attributes:
        down: PEFT's A, float32 (rank, in).
        up: PEFT's B, float32 (out, rank), with the gain of a batch norm that the map has folded in.
        scaling: alpha / rank, or alpha / sqrt(rank) for rsLoRA.
    """

    down: Tensor
    up: Tensor
    scaling: float


@dataclass(frozen=True)
class AdapterWeights:
    """One adapter, checked against the backbone.

    Attributes:
        updates: low-rank updates by (index of the tail block, target name).
        head_weight: float32 (L, D), a row for each label of the context.
        head_bias: float32 (L,).
    """

    updates: Mapping[tuple[int, str], LowRank]
    head_weight: Tensor
    head_bias: Tensor


def read_adapter(
    folder: Path, backbone: Backbone, tail_blocks: int, head: Path | None = None
) -> AdapterWeights:
    """Reads ``adapter_config.json``, ``adapter_model.safetensors`` and ``head.safetensors``.

    Args:
        folder: where they are.
        backbone: what they belong to.
        tail_blocks: K.
        head: the head's file, where it is not in the folder.

    Raises:
        PolymorphError: anything unreadable, foreign to the backbone, outside its last K blocks,
            misshapen, incomplete or not finite; names the file and the tensor.
    """
    settings = read_lora_config(folder / ADAPTER_CONFIG_FILE)
    updates = _read_updates(folder / ADAPTER_WEIGHTS_FILE, settings, backbone, tail_blocks)
    weight, bias = _read_head(head or folder / HEAD_FILE, backbone.hidden_size)
    return AdapterWeights(updates, weight, bias)


def _read_updates(
    path: Path, settings: LoraSettings, backbone: Backbone, tail_blocks: int
) -> dict[tuple[int, str], LowRank]:
    tensors = read_tensors(path)
    if not tensors:
        raise PolymorphError("LoRA tensors", "an empty file", where=str(path))
    first = backbone.num_blocks - tail_blocks
    stems = dict.fromkeys(_stem(name, path) for name in tensors)
    modules = {stem: _module_of(stem) for stem in stems}
    places = _locate(modules, backbone, path)
    _check_targets(modules, settings, backbone, path)
    updates: dict[tuple[int, str], LowRank] = {}
    for stem, (block, target) in places.items():
        if not first <= block < backbone.num_blocks:
            raise PolymorphError(
                f"LoRA on the last {tail_blocks} blocks ({first} to {backbone.num_blocks - 1})",
                f"tensor {stem}.lora_A.weight of block {block}",
                where=str(path),
            )
        rank, scaling = settings.rank_and_scaling(modules[stem])
        map_ = backbone.network.lora_maps[block, target]
        down, up = _pair(tensors, stem, rank, map_, path)
        updates[block - first, target] = LowRank(down, up, scaling)
    return updates


def _stem(name: str, path: Path) -> str:
    """A tensor's name without ``.lora_A.weight`` or ``.lora_B.weight``."""
    for suffix in (".lora_A.weight", ".lora_B.weight"):
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    raise PolymorphError("only lora_A.weight and lora_B.weight", f"tensor {name}", where=str(path))


def _module_of(stem: str) -> str:
    """``base_model.model.<module>`` to ``<module>``; torch.compile puts _orig_mod in between."""
    return stem.replace("_orig_mod.", "").removeprefix("base_model.model.")


def _locate(
    modules: Mapping[str, str], backbone: Backbone, path: Path
) -> dict[str, tuple[int, str]]:
    """(Block, target) of each module, by its tensors' stem; no two may be the same."""
    family, maps = backbone.family, backbone.network.lora_maps
    taken = dict[tuple[int, str], str]()
    for stem, module in modules.items():
        place = family.locate(module)
        if place is None or (place not in maps and place[0] < backbone.num_blocks):
            raise PolymorphError(
                f"LoRA on {', '.join(family.targets)} of a {family.name} backbone",
                f"tensor {stem}.lora_A.weight",
                where=str(path),
                remedy="this adapter is for another backbone or target",
            )
        if place in taken:
            raise PolymorphError(
                f"one pair of tensors for {place[1]} of block {place[0]}",
                f"those of {taken[place]} and of {stem}",
                where=str(path),
            )
        taken[place] = stem
    return {stem: place for place, stem in taken.items()}


def _check_targets(
    modules: Mapping[str, str], settings: LoraSettings, backbone: Backbone, path: Path
) -> None:
    """The file must hold just what PEFT adapts: it passes over other tensors without a word, and
    leaves modules without tensors as they were initialised.
    """
    found = list(modules.values())
    names = backbone.like(found)
    expected = {module for module in names if settings.targets.holds(module)}
    for module in sorted(expected.symmetric_difference(found)):
        missing = module in expected
        raise PolymorphError(
            "tensors of the modules that adapter_config.json names",
            f"none of {module}" if missing else f"tensors of {module}, which it does not name",
            where=str(path),
            remedy="save the adapter again by PEFT: configuration and weights belong together",
        )


def _pair(
    tensors: Mapping[str, Tensor], stem: str, rank: int, map_: LoraMap, path: Path
) -> tuple[Tensor, Tensor]:
    """A (rank, in) and B (out, rank) of one module, for the map as the backbone computes it."""
    down_name, up_name = f"{stem}.lora_A.weight", f"{stem}.lora_B.weight"
    for needed, partner in ((down_name, up_name), (up_name, down_name)):
        if needed not in tensors:
            raise PolymorphError(f"tensor {needed}", f"only its partner {partner}", where=str(path))
    kernel = (1, 1) if map_.convolution else ()
    check_shape(tensors[down_name], down_name, (rank, map_.inputs, *kernel), path)
    check_shape(tensors[up_name], up_name, (map_.outputs, rank, *kernel), path)
    down, up = tensors[down_name].view(rank, -1), tensors[up_name].view(-1, rank)
    return down, up if map_.gain is None else map_.gain.unsqueeze(1) * up


def _read_head(path: Path, dim: int) -> tuple[Tensor, Tensor]:
    tensors = read_tensors(path)
    if sorted(tensors) != ["bias", "weight"]:
        found = ", ".join(sorted(tensors)) or "none"
        raise PolymorphError("the tensors weight and bias", found, where=str(path))
    weight, bias = tensors["weight"], tensors["bias"]
    check_shape(bias, "bias", (bias.numel(),), path)
    check_shape(weight, "weight", (bias.numel(), dim), path)
    return weight, bias
