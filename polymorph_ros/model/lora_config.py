"""What an ``adapter_config.json`` of PEFT says about rank and scaling, and what is refused."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polymorph_ros.errors import PolymorphError

# Variants of LoRA whose output is not base + scaling * B A x: PEFT could run them, we cannot.
_REFUSED = (
    "use_dora",
    "use_qalora",
    "use_bdlora",
    "lora_bias",
    "modules_to_save",
    "layer_replication",
    "trainable_token_indices",
    "target_parameters",
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
)


@dataclass(frozen=True)
class LoraSettings:
    """Rank and scaling of each module, as PEFT reads them.

    Attributes:
        rank, alpha: for modules that no pattern names.
        rslora: the scaling is alpha / sqrt(rank) instead of alpha / rank (arXiv 2312.03732).
        rank_pattern, alpha_pattern: regular expressions of module names to their own value.
    """

    rank: int
    alpha: float
    rslora: bool
    rank_pattern: Mapping[str, int]
    alpha_pattern: Mapping[str, float]

    def rank_of(self, module: str) -> int:
        return int(_match(self.rank_pattern, module, self.rank))

    def scaling_of(self, module: str) -> float:
        rank = self.rank_of(module)
        alpha = _match(self.alpha_pattern, module, self.alpha)
        return alpha / math.sqrt(rank) if self.rslora else alpha / rank


def read_lora_config(path: Path) -> LoraSettings:
    """Reads PEFT's ``adapter_config.json``.

    Raises:
        PolymorphError: unreadable, no LoRA, a variant that cannot be composed, or a bad rank.
    """
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise PolymorphError("a PEFT adapter_config.json", str(error), where=str(path)) from error
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        kind = config.get("peft_type") if isinstance(config, dict) else type(config).__name__
        raise PolymorphError("a LoRA adapter", f"peft_type {kind!r}", where=str(path))
    _refuse_variants(config, path)
    settings = LoraSettings(
        rank=_number(config, "r", 8, path, int),
        alpha=_number(config, "lora_alpha", 8, path, float),
        rslora=bool(config.get("use_rslora", False)),
        rank_pattern=_pattern(config, "rank_pattern", path, int),
        alpha_pattern=_pattern(config, "alpha_pattern", path, float),
    )
    if min([settings.rank, *settings.rank_pattern.values()]) < 1:
        raise PolymorphError("ranks of at least 1", f"{settings.rank}", where=str(path))
    return settings


def _refuse_variants(config: Mapping[str, Any], path: Path) -> None:
    remedy = "train a plain LoRA adapter"
    for key in _REFUSED:
        if config.get(key):
            raise PolymorphError(
                "plain LoRA", f"{key} = {config[key]}", where=str(path), remedy=remedy
            )
    if config.get("bias", "none") != "none":
        raise PolymorphError(
            "bias = 'none'", f"bias = {config['bias']!r}", where=str(path), remedy=remedy
        )


def _number(
    config: Mapping[str, Any], key: str, default: int, path: Path, kind: type[float]
) -> Any:
    value: Any = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, kind)) or not math.isfinite(value):
        raise PolymorphError(f"a number {key}", repr(value), where=str(path))
    return kind(value)


def _pattern(config: Mapping[str, Any], key: str, path: Path, kind: type[float]) -> dict[str, Any]:
    patterns = config.get(key) or {}
    if not isinstance(patterns, dict):
        raise PolymorphError(f"an object {key}", repr(patterns), where=str(path))
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise PolymorphError(
                f"regular expressions in {key}", f"{pattern!r} ({error})", where=str(path)
            ) from error
    return {pattern: _number(patterns, pattern, 0, path, kind) for pattern in patterns}


def _match(patterns: Mapping[str, float], module: str, default: float) -> float:
    """The first pattern that is the module's whole name or its end after a dot, as in PEFT."""
    for pattern, value in patterns.items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default
