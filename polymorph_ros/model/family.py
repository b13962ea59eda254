"""What differs between backbone families: names, pixel statistics, and the network itself."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

from torch import nn

from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.network import LoraMap, Network

Statistics = tuple[float, float, float]

HEAD = "head"
"""The target that stands for the convolution after the last block."""


@dataclass(frozen=True)
class Spelling:
    """Names of the maps that may have LoRA, as one generation of transformers spells them.

    Attributes:
        blocks: the list of blocks; where each stage has one, ``*`` stands for the stage's number.
        targets: names inside a block.
        head: name of the convolution after the last block, which counts to that block; "": none.
        depths: blocks of each stage, once a model is known; of one list only where it has a head.
    """

    blocks: str
    targets: Mapping[str, str]
    head: str = ""
    depths: tuple[int, ...] = ()

    @cached_property
    def _modules(self) -> re.Pattern[str]:
        names = "|".join(re.escape(name) for name in self.targets.values())
        # A checkpoint with two towers has blocks of the same names in the one that reads texts.
        before = r"(?!.*\btext_model\.)(?:^|.*\.)"
        blocks = re.escape(self.blocks).replace(r"\*", r"(?P<stage>\d+)")
        return re.compile(rf"{before}{blocks}\.(?P<block>\d+)\.(?P<name>{names})$")

    def stage_of(self, block: int) -> tuple[int, int]:
        """Stage of a block, and its place in it; without stages all are in the first."""
        stage = 0
        while "*" in self.blocks and block >= self.depths[stage]:
            block -= self.depths[stage]
            stage += 1
        return stage, block

    def block_name(self, block: int) -> str:
        """The full name of a block, such as ``layers.11`` or ``stages.2.layers.8``."""
        stage, place = self.stage_of(block)
        return f"{self.blocks.replace('*', str(stage))}.{place}"

    def module_name(self, block: int, target: str) -> str:
        """The full name of a linear map, such as ``layers.11.mlp.fc2``."""
        return self.head if target == HEAD else f"{self.block_name(block)}.{self.targets[target]}"

    def locate(self, module: str) -> tuple[int, str] | None:
        """(block index, target) of a module name, or None if it is none of the targets."""
        if self.head and f".{module}".endswith(f".{self.head}"):
            return sum(self.depths) - 1, HEAD
        match = self._modules.match(module)
        if match is None:
            return None
        block = int(match["block"])
        if "*" in self.blocks:
            stage = int(match["stage"])
            if stage >= len(self.depths) or block >= self.depths[stage]:
                return None
            block += sum(self.depths[:stage])
        return block, next(t for t, name in self.targets.items() if name == match["name"])


_Family = TypeVar("_Family", bound="Family")


@dataclass(frozen=True)
class Family(ABC):
    """What differs between backbone families.

    Attributes:
        name: the family's name.
        model_types: the ``model_type`` values of the transformers configurations it serves.
        spelling: where blocks and their linear maps are; ``old_spelling``: the same in
            transformers 4, in whose names older PEFT adapters are written.
        default_targets: the maps that get LoRA unless a configuration says otherwise.
        mean, std: of the pixels in [0, 1] that it was trained on, where a checkpoint does not say.
        load_arguments: extra arguments of the model's constructor.
        usual_side: of the pictures that it is run on, where its position grid is larger.
    """

    name: str
    model_types: tuple[str, ...]
    spelling: Spelling
    old_spelling: Spelling
    default_targets: tuple[str, ...]
    mean: Statistics
    std: Statistics
    load_arguments: Mapping[str, object] = field(default_factory=dict, kw_only=True)
    usual_side: int | None = field(default=None, kw_only=True)

    @property
    def targets(self) -> tuple[str, ...]:
        """The LoRA targets that it has."""
        return (*self.spelling.targets, *((HEAD,) if self.spelling.head else ()))

    def serves(self, config: Any) -> bool:
        """Whether a transformers configuration is of this family."""
        return config.model_type in self.model_types

    def check(self, config: Any, where: str) -> None:
        """Refuses a configuration of the family with a part that is not supported.

        Raises:
            PolymorphError: names what was expected.
        """
        if not getattr(config, "vision_use_head", True):
            raise PolymorphError("a pooling head", "vision_use_head = False", where=where)

    @abstractmethod
    def side_step_of(self, config: Any) -> int:
        """What a picture's side must be divisible by, pixels."""

    def trained_side(self, config: Any) -> int | None:
        """The side of the pictures that a model is for, pixels; None if nothing says it."""
        trained = getattr(config, "image_size", None)
        if not isinstance(trained, int):
            return None
        return min(trained, self.usual_side or trained)

    def check_targets(self, targets: Sequence[str], where: str = "") -> None:
        """Refuses targets of LoRA that the family does not have.

        Raises:
            PolymorphError: names those that it has.
        """
        unknown = [target for target in targets if target not in self.targets]
        if unknown or not targets:
            raise PolymorphError(
                f"LoRA targets out of {', '.join(self.targets)}, which {self.name} has",
                ", ".join(unknown) or "none", where=where,
                remedy=f"leave them out: {self.name} then gets {', '.join(self.default_targets)}",
            )  # fmt: skip

    def of(self: _Family, model: nn.Module) -> _Family:
        """The same with the number of blocks that a model has, where names depend on it."""
        return self

    @abstractmethod
    def network(self, model: nn.Module, config: Any) -> Network:
        """The parts of a loaded model, which is frozen from now on."""

    def with_depths(self: _Family, depths: tuple[int, ...]) -> _Family:
        """The same for a model with so many blocks in each stage."""
        spellings = (replace(s, depths=depths) for s in (self.spelling, self.old_spelling))
        spelling, old_spelling = spellings
        return replace(self, spelling=spelling, old_spelling=old_spelling)

    def locate(self, module: str) -> tuple[int, str] | None:
        """(block index, target) of a module name in the new or the old spelling, or None."""
        return self.spelling.locate(module) or self.old_spelling.locate(module)

    def alike(self, modules: Sequence[str], places: Iterable[tuple[int, str]]) -> list[str]:
        """Names of all LoRA maps of the model that names some as given; none if none does.

        Args:
            places: (block, target) of every map there is.
        """
        for spelling in (self.spelling, self.old_spelling):
            found = [spelling.locate(module) for module in modules]
            if None not in found and (first := found[0]) is not None:
                before = modules[0].removesuffix(spelling.module_name(*first))
                return [
                    before + spelling.module_name(block, target)
                    for block, target in places
                    if target == HEAD or target in spelling.targets
                ]
        return []


def lora_targets(
    family: Family,
    maps: Mapping[tuple[int, str], LoraMap],
    start: int,
    targets: Iterable[str] | None = None,
) -> list[str]:
    """Full module names for PEFT's ``LoraConfig(target_modules=...)``, from block ``start`` on.

    Full names need no ``layers_to_transform``, and PEFT opens such an adapter with any spelling
    of its own matching rules.

    Args:
        family: of a model.
        maps: of the same model.
        targets: which; none: the family's default.

    Raises:
        PolymorphError: one is none of the family's, or the blocks have none of those wanted.
    """
    chosen = list(family.default_targets if targets is None else targets)
    family.check_targets(chosen)
    names = [
        family.spelling.module_name(block, target)
        for block in range(start, 1 + max(block for block, _ in maps))
        for target in chosen
        if (block, target) in maps
    ]
    if not names:
        raise PolymorphError(f"blocks of {family.name} that have {', '.join(chosen)}", "none")
    return names
