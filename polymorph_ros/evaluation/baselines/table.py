"""All methods by name: Polymorph and its baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.baselines import (
    early_exit,
    lora,
    plain,
    token_heads,
    uncomposed,
    variants,
    zero_shot,
)
from polymorph_ros.evaluation.baselines.entry import Entry, Source, Weights
from polymorph_ros.evaluation.baselines.trained import BASELINE_FILE, read_trained
from polymorph_ros.evaluation.methods.engine_method import EngineMethod
from polymorph_ros.evaluation.methods.method import Method

POLYMORPH = "polymorph"
_LIVE = {"polymorph_live": "the real node over DDS; frames may drop"}


def _polymorph(name: str, source: Source) -> EngineMethod:
    return EngineMethod(name, source.model(), source.bundle)


METHODS: Mapping[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(POLYMORPH, "the bundle's engine, as the node runs it", _polymorph),
        *variants.BASELINES,
        *uncomposed.BASELINES,
        *lora.BASELINES,
        *plain.BASELINES,
        *token_heads.BASELINES,
        *early_exit.BASELINES,
        *zero_shot.BASELINES,
    )
}


def description_of(method: str) -> str:
    """What a method is; nothing for one that is not in the table."""
    return METHODS[method].description if method in METHODS else _LIVE.get(method, "")


def trained_as(method: str, bundle: Bundle, folder: Path) -> dict[str, int] | None:
    """Gradient steps and trained parameters of a method's weights; None where it needs none."""
    entry = METHODS.get(method)
    if entry is None or entry.weights is None:
        return None
    text = read_trained(folder / entry.weights.name, bundle).text
    return {"steps": text.steps, "parameters": text.parameters}


def baselines_beside(bundle: Path) -> Path:
    """The folder in which a bundle's trained baselines lie."""
    resolved = bundle.expanduser().resolve()
    return resolved.with_name(f"{resolved.name}-baselines")


def method_names(compare: str, folder: Path) -> tuple[str, ...]:
    """The methods to run: Polymorph, and those of a list with commas, or all.

    All are those whose trained weights are in the folder, where they need some.

    Raises:
        PolymorphError: a name that is none of them; it lists those that there are.
    """
    wanted = [name.strip() for name in compare.split(",") if name.strip()]
    if wanted == ["all"]:
        return tuple(
            name
            for name, entry in METHODS.items()
            if not entry.weights or (folder / entry.weights.name / BASELINE_FILE).is_file()
        )
    for name in wanted:
        if name not in METHODS:
            raise PolymorphError(f"all, or some of {', '.join(METHODS)}", name, where="--compare")
    return tuple(dict.fromkeys((POLYMORPH, *wanted)))


def weights_of(compare: str, folder: Path) -> tuple[Weights, ...]:
    """The weights that some methods need; those of all where none is named.

    Raises:
        PolymorphError: as ``method_names``.
    """
    every = compare.strip() in ("", "all")
    entries = [METHODS[name] for name in (METHODS if every else method_names(compare, folder))]
    needed = {one.weights.name: one.weights for one in entries if one.weights}
    return tuple(needed.values())


def make_methods(names: Sequence[str], source: Source) -> tuple[Method, ...]:
    """Load them; each has everything of its own, as if it ran alone."""
    return tuple(METHODS[name].make(name, source) for name in names)
