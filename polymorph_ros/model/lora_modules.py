"""Which modules PEFT adapts, by the names and patterns of an ``adapter_config.json``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polymorph_ros.errors import PolymorphError

_ALL_LINEAR = "all-linear"


@dataclass(frozen=True)
class TargetModules:
    """PEFT's rule, as its documentation of ``LoraConfig`` gives it.

    Attributes:
        targets: names, or ends of names after a dot; or one regular expression for whole names,
            where "all-linear" stands for every linear layer.
        excluded: the same of modules that are not adapted though ``targets`` names them.
        layers: indices of the layers that are adapted; empty: all.
        layers_patterns: names of the lists of layers; empty: any.
    """

    targets: str | tuple[str, ...]
    excluded: str | tuple[str, ...]
    layers: tuple[int, ...]
    layers_patterns: tuple[str, ...]

    def holds(self, module: str) -> bool:
        """Whether PEFT adapts the linear layer of this full name."""
        if self.excluded and _named(self.excluded, module):
            return False
        if self.targets == _ALL_LINEAR or module in self.targets:
            return True  # a whole name counts in all layers
        return _named(self.targets, module) and (not self.layers or self._in_layers(module))

    def _in_layers(self, module: str) -> bool:
        if not self.layers_patterns:
            # PEFT expects a name before that of the list: "layers.3.x" alone has no layer.
            found = re.match(r".*?\.[^.]*\.(?P<layer>\d+)\.", module)
        else:
            matches = (re.match(_in_list(p), module) for p in self.layers_patterns)
            found = next((match for match in matches if match), None)
        return found is not None and int(found["layer"]) in self.layers


def read_target_modules(config: Mapping[str, Any], path: Path) -> TargetModules:
    """Reads the fields that choose modules.

    Raises:
        PolymorphError: one is missing or of the wrong kind, or PEFT does not allow them together.
    """
    targets = _names(config, "target_modules", path)
    layers = config.get("layers_to_transform")
    layers = [layers] if isinstance(layers, int) else (layers or [])
    if not isinstance(layers, list) or not all(type(layer) is int for layer in layers):
        raise PolymorphError("layer indices in layers_to_transform", repr(layers), where=str(path))
    patterns = _names(config, "layers_pattern", path)
    patterns = (patterns,) if isinstance(patterns, str) else patterns
    if not targets:
        raise PolymorphError(
            "module names in target_modules",
            "none",
            where=str(path),
            remedy="save it again by PEFT, which writes the names it used",
        )
    if isinstance(targets, str) and (layers or patterns):
        raise PolymorphError(
            "layers_to_transform only beside a list of target_modules",
            f"target_modules = {targets!r}",
            where=str(path),
        )
    if isinstance(targets, str) and targets.lower() == _ALL_LINEAR:
        targets = _ALL_LINEAR
    return TargetModules(targets, _names(config, "exclude_modules", path), tuple(layers), patterns)


def check_patterns(patterns: Iterable[str], key: str, path: Path) -> None:
    """Refuses what is no regular expression.

    Raises:
        PolymorphError: names the field and the pattern.
    """
    for pattern in patterns:
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise PolymorphError(
                f"regular expressions in {key}", f"{pattern!r} ({error})", where=str(path)
            ) from error


def _in_list(pattern: str) -> str:
    return rf"(?:^|.*?\.){pattern}\.(?P<layer>\d+)\."


def _named(names: str | tuple[str, ...], module: str) -> bool:
    if isinstance(names, str):
        return re.fullmatch(names, module) is not None
    return any(module == name or module.endswith(f".{name}") for name in names)


def _names(config: Mapping[str, Any], key: str, path: Path) -> str | tuple[str, ...]:
    """A regular expression, or names; none where the field is not set."""
    value = config.get(key) or ()
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise PolymorphError(f"a name or names in {key}", repr(value), where=str(path))
    if key == "layers_pattern":
        check_patterns([_in_list(name) for name in names], key, path)
    elif isinstance(value, str):
        check_patterns([value], key, path)
    return value if isinstance(value, str) else tuple(names)
