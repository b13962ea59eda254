"""What an ``adapter_config.json`` of PEFT says, as far as the adapter's output depends on it.

A field is read here, or it is listed as one that cannot change the output, or it must be unset. So
a field that a later PEFT adds is refused until somebody has looked at it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.lora_modules import (
    TargetModules,
    check_patterns,
    read_target_modules,
)

_READ_HERE = (
    "peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "bias",
    "init_lora_weights", "target_modules", "exclude_modules", "layers_to_transform",
    "layers_pattern",
)  # fmt: skip

# Whatever their value: they say where the adapter comes from, matter in training only, matter only
# beside a field that is refused, or change nothing for torch's linear layers (fan_in_fan_out).
_WITHOUT_EFFECT = (
    "task_type", "auto_mapping", "base_model_name_or_path", "revision", "peft_version",
    "inference_mode", "lora_dropout", "fan_in_fan_out", "runtime_config", "megatron_core",
    "qalora_group_size", "loftq_config", "eva_config", "corda_config", "lora_ga_config",
)  # fmt: skip

_PLAIN = "train a plain LoRA adapter, or let PEFT's save_as_lora make one of it"
_REMEDIES = {
    "modules_to_save": "train without it, or save those weights apart: a classifier's weight and "
    "bias are the head (head.safetensors)",
    "bias": "train with bias='none'",
    "layer_replication": "train on the backbone as it is",
    "target_parameters": "name modules in target_modules instead",
}
_CONVERT = (
    "save it again by PEFT: model.save_pretrained(FOLDER, path_initial_model_for_weight_conversion="
    "INITIAL_ADAPTER) makes it a LoRA of the unchanged base"
)


@dataclass(frozen=True)
class LoraSettings:
    """Which modules are adapted, with which rank and scaling, as PEFT reads it.

    Attributes:
        rank, alpha: for modules that no pattern names.
        rslora: the scaling is alpha / sqrt(rank) instead of alpha / rank (arXiv 2312.03732).
        rank_pattern, alpha_pattern: regular expressions of module names to their own value.
        old_patterns: it may come from a PEFT before 0.15, which matched patterns otherwise.
        targets: the modules that PEFT adapts.
        where: the file.
    """

    rank: int
    alpha: float
    rslora: bool
    rank_pattern: Mapping[str, int]
    alpha_pattern: Mapping[str, float]
    old_patterns: bool
    targets: TargetModules
    where: str

    def rank_and_scaling(self, module: str) -> tuple[int, float]:
        """Of one module, by its full name.

        Raises:
            PolymorphError: patterns disagree, or versions of PEFT do and the file names none.
        """
        rank = self._value(self.rank_pattern, module, self.rank)
        alpha = self._value(self.alpha_pattern, module, self.alpha)
        if self.old_patterns and (rank, alpha) != self._by_old_rule(module):
            raise PolymorphError(
                "patterns that PEFT before and after 0.15 reads alike",
                f"rank_pattern and alpha_pattern that differ for {module}",
                where=self.where,
                remedy="name whole modules in both, or save it again by PEFT 0.18 or later",
            )
        return int(rank), alpha / math.sqrt(rank) if self.rslora else alpha / rank

    def _value(self, patterns: Mapping[str, float], module: str, default: float) -> float:
        """What a pattern says that is the module's whole name or its end after a dot."""
        found = {p: value for p, value in patterns.items() if re.match(_whole_or_end(p), module)}
        if len(set(found.values())) > 1:
            # In PEFT the first counts, but it sorts patterns when it saves them.
            raise PolymorphError(
                f"patterns that agree on {module}",
                ", ".join(f"{pattern!r}: {value}" for pattern, value in found.items()),
                where=self.where,
                remedy="PEFT forgets which came first: let no two patterns match one module",
            )
        return next(iter(found.values()), default)

    def _by_old_rule(self, module: str) -> tuple[float, float]:
        """Rank and alpha up to PEFT 0.14: the first pattern of either kind decides both."""
        patterns = (*self.rank_pattern, *self.alpha_pattern)
        key = next((p for p in patterns if re.match(_end(p), module)), module)
        return self.rank_pattern.get(key, self.rank), self.alpha_pattern.get(key, self.alpha)


def read_lora_config(path: Path) -> LoraSettings:
    """Reads PEFT's ``adapter_config.json``.

    Raises:
        PolymorphError: unreadable, no LoRA, a bad value, or a field that may change the output in
            a way that cannot be composed; names the field.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise PolymorphError("a PEFT adapter_config.json", str(error), where=str(path)) from error
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        kind = config.get("peft_type") if isinstance(config, dict) else type(config).__name__
        raise PolymorphError("a LoRA adapter", f"peft_type {kind!r}", where=str(path))
    _refuse_variants(config, path)
    _check_initialisation(config.get("init_lora_weights", True), path)
    settings = LoraSettings(
        rank=_number(config, "r", 8, path, int),
        alpha=_number(config, "lora_alpha", 8, path, float),
        rslora=_truth(config, "use_rslora", path),
        rank_pattern=_pattern(config, "rank_pattern", path, int),
        alpha_pattern=_pattern(config, "alpha_pattern", path, float),
        # 0.15 brought trainable_token_indices, 0.18 peft_version.
        old_patterns=not config.keys() & {"peft_version", "trainable_token_indices"},
        targets=read_target_modules(config, path),
        where=str(path),
    )
    if min([settings.rank, *settings.rank_pattern.values()]) < 1:
        raise PolymorphError("ranks of at least 1", f"{settings.rank}", where=str(path))
    return settings


def _refuse_variants(config: Mapping[str, Any], path: Path) -> None:
    for key, value in config.items():
        unset = value == "none" if key == "bias" else value in (None, []) or value is False
        if unset or (key in _READ_HERE and key != "bias") or key in _WITHOUT_EFFECT:
            continue
        raise PolymorphError(
            "bias = 'none'" if key == "bias" else "plain LoRA",
            f"{key} = {value!r}",
            where=str(path),
            remedy=_REMEDIES.get(key, _PLAIN),
        )


def _check_initialisation(value: Any, path: Path) -> None:
    """Refuse initialisations that take B A out of the base: B A alone is not what was trained.

    EVA, orthogonal and MiCA set A and B only. LoftQ's base is a quantised one, which no conversion
    undoes.
    """
    name = value.lower() if isinstance(value, str) else ""
    if isinstance(value, bool) or name == "gaussian" or value in ("eva", "orthogonal", "mica"):
        return
    converts = name in ("olora", "lora_ga") or name.startswith(("pissa", "corda"))
    raise PolymorphError(
        "an initialisation that leaves the base as it is "
        "(true, false, gaussian, eva, orthogonal, mica)",
        f"init_lora_weights = {value!r}",
        where=str(path),
        remedy=_CONVERT if converts else _PLAIN,
    )


def _number(
    config: Mapping[str, Any], key: str, default: int, path: Path, kind: type[float]
) -> Any:
    value: Any = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, kind)) or not math.isfinite(value):
        raise PolymorphError(f"a number {key}", repr(value), where=str(path))
    return kind(value)


def _truth(config: Mapping[str, Any], key: str, path: Path) -> bool:
    value: Any = config.get(key, False)
    if not isinstance(value, bool):
        raise PolymorphError(f"{key} true or false", repr(value), where=str(path))
    return value


def _pattern(config: Mapping[str, Any], key: str, path: Path, kind: type[float]) -> dict[str, Any]:
    patterns = config.get(key) or {}
    if not isinstance(patterns, dict):
        raise PolymorphError(f"an object {key}", repr(patterns), where=str(path))
    check_patterns(map(_whole_or_end, patterns), key, path)
    check_patterns(map(_end, patterns), key, path)
    return {pattern: _number(patterns, pattern, 0, path, kind) for pattern in patterns}


def _whole_or_end(pattern: str) -> str:
    return rf"(.*\.)?({pattern})$"


def _end(pattern: str) -> str:
    return rf".*\.{pattern}$"
