"""Read one adapter: a plain PEFT LoRA folder and the head for its context's labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from polymorph_ros.bundle.manifest import ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, HEAD_FILE
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.backbone import Backbone
from polymorph_ros.model.family import BlockWeights
from polymorph_ros.model.lora_config import LoraSettings, read_lora_config
from polymorph_ros.model.tensor_file import check_shape, read_tensors


@dataclass(frozen=True)
class LowRank:
    """One low-rank update: ``y += scaling * (x @ down.T) @ up.T``.

    Attributes:
        down: PEFT's A, float32 (rank, in).
        up: PEFT's B, float32 (out, rank).
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


def read_adapter(folder: Path, backbone: Backbone, tail_blocks: int) -> AdapterWeights:
    """Reads ``adapter_config.json``, ``adapter_model.safetensors`` and ``head.safetensors``.

    Raises:
        PolymorphError: anything unreadable, foreign to the backbone, outside its last K blocks,
            misshapen, incomplete or not finite; names the file and the tensor.
    """
    settings = read_lora_config(folder / ADAPTER_CONFIG_FILE)
    updates = _read_updates(folder / ADAPTER_WEIGHTS_FILE, settings, backbone, tail_blocks)
    weight, bias = _read_head(folder / HEAD_FILE, backbone.hidden_size)
    return AdapterWeights(updates, weight, bias)


def _read_updates(
    path: Path, settings: LoraSettings, backbone: Backbone, tail_blocks: int
) -> dict[tuple[int, str], LowRank]:
    tensors = read_tensors(path)
    if not tensors:
        raise PolymorphError("LoRA tensors", "an empty file", where=str(path))
    blocks = backbone.tail_weights(tail_blocks)
    first = backbone.num_blocks - tail_blocks
    updates: dict[tuple[int, str], LowRank] = {}
    for name in tensors:
        module = _module_of(name, path)
        place = backbone.family.locate(module)
        if place is None:
            family = backbone.family
            raise PolymorphError(
                f"LoRA on {', '.join(family.targets)} of a {family.name} backbone",
                f"tensor {name}",
                where=str(path),
                remedy="this adapter was made for another backbone or target",
            )
        block, target = place
        if not first <= block < backbone.num_blocks:
            raise PolymorphError(
                f"LoRA on the last {tail_blocks} blocks ({first} to {backbone.num_blocks - 1})",
                f"tensor {name} of block {block}",
                where=str(path),
            )
        key = (block - first, target)
        if key not in updates:
            updates[key] = _read_update(tensors, name, module, settings, blocks, key, path)
    return updates


def _module_of(name: str, path: Path) -> str:
    """``base_model.model.<module>.lora_A.weight`` (or lora_B) to ``<module>``."""
    for suffix in (".lora_A.weight", ".lora_B.weight"):
        if name.endswith(suffix):
            return name[: -len(suffix)].removeprefix("base_model.model.")
    raise PolymorphError("only lora_A.weight and lora_B.weight", f"tensor {name}", where=str(path))


def _read_update(
    tensors: Mapping[str, Tensor],
    name: str,
    module: str,
    settings: LoraSettings,
    blocks: list[BlockWeights],
    key: tuple[int, str],
    path: Path,
) -> LowRank:
    stem = name[: name.rindex(".lora_")]
    down_name, up_name = f"{stem}.lora_A.weight", f"{stem}.lora_B.weight"
    for needed in (down_name, up_name):
        if needed not in tensors:
            raise PolymorphError(f"tensor {needed}", f"only its partner {name}", where=str(path))
    block, target = key
    outputs, inputs = blocks[block].linear[target].weight.shape
    rank = settings.rank_of(module)
    check_shape(tensors[down_name], down_name, (rank, inputs), path)
    check_shape(tensors[up_name], up_name, (outputs, rank), path)
    return LowRank(tensors[down_name], tensors[up_name], settings.scaling_of(module))


def _read_head(path: Path, dim: int) -> tuple[Tensor, Tensor]:
    tensors = read_tensors(path)
    if sorted(tensors) != ["bias", "weight"]:
        found = ", ".join(sorted(tensors)) or "none"
        raise PolymorphError("the tensors weight and bias", found, where=str(path))
    weight, bias = tensors["weight"], tensors["bias"]
    check_shape(bias, "bias", (bias.numel(),), path)
    check_shape(weight, "weight", (bias.numel(), dim), path)
    return weight, bias
