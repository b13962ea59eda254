"""All methods by name, with what each is in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.methods.engine_method import EngineMethod, OracleCoverMethod
from polymorph_ros.evaluation.methods.method import Method
from polymorph_ros.evaluation.methods.policies import AllAdapters
from polymorph_ros.evaluation.methods.switching import (
    MergedLora,
    PeftMixedBatch,
    SwitchedSpecialists,
)
from polymorph_ros.evaluation.methods.ungated import UngatedModel
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.runtime.settings import EngineSettings

POLYMORPH = "polymorph"
_LIVE_WORDS = {"polymorph_live": "the real node over DDS; frames may drop"}
_LONG_S = 3600.0  # the bundle's own limit is the shorter one


@dataclass(frozen=True)
class Entry:
    """How a method is made, and what it is."""

    words: str
    make: Callable[[str, Bundle, str], Method]


def _polymorph(name: str, bundle: Bundle, device: str) -> Method:
    return EngineMethod(name, PolymorphModel.from_bundle(bundle, device), bundle)


def _all_adapters(name: str, bundle: Bundle, device: str) -> Method:
    return EngineMethod(name, PolymorphModel.from_bundle(bundle, device), bundle, AllAdapters)


def _oracle_cover(name: str, bundle: Bundle, device: str) -> Method:
    return OracleCoverMethod(name, PolymorphModel.from_bundle(bundle, device), bundle)


def _no_gating(name: str, bundle: Bundle, device: str) -> Method:
    return EngineMethod(name, UngatedModel.from_bundle(bundle, device), bundle)


def _no_time(name: str, bundle: Bundle, device: str) -> Method:
    model = PolymorphModel.from_bundle(bundle, device)
    return EngineMethod(name, model, bundle, remembers=False)


def _carry_over(name: str, bundle: Bundle, device: str) -> Method:
    model = PolymorphModel.from_bundle(bundle, device)
    return EngineMethod(name, model, bundle, settings=EngineSettings(carry_over_s=_LONG_S))


def _switched_specialists(name: str, bundle: Bundle, device: str) -> Method:
    return EngineMethod(name, SwitchedSpecialists.of(bundle, device), bundle)


def _merged_lora(name: str, bundle: Bundle, device: str) -> Method:
    return EngineMethod(name, MergedLora.of(bundle, device), bundle)


def _peft_mixed_batch(name: str, bundle: Bundle, device: str) -> Method:
    return EngineMethod(name, PeftMixedBatch.of(bundle, device), bundle)


METHODS: Mapping[str, Entry] = {
    POLYMORPH: Entry("the bundle's engine, as the node runs it", _polymorph),
    "all_adapters": Entry("composed, every adapter for every frame", _all_adapters),
    "oracle_cover": Entry("the true labels choose the adapters", _oracle_cover),
    "polymorph_no_gating": Entry("adapters' scores without P(context)", _no_gating),
    "polymorph_no_filter": Entry("every frame on its own: no belief over time", _no_time),
    "polymorph_carry_over": Entry("results carried over while the picture stays", _carry_over),
    "switched_specialists": Entry("a whole model per context, switched", _switched_specialists),
    "merged_lora": Entry("adapters merged into one model and out again", _merged_lora),
    "peft_mixed_batch": Entry("PEFT's batch with an adapter per row", _peft_mixed_batch),
}


def words_of(method: str) -> str:
    """What a method is; nothing for one that is not in the table."""
    return METHODS[method].words if method in METHODS else _LIVE_WORDS.get(method, "")


def method_names(compare: str) -> tuple[str, ...]:
    """The methods to run: Polymorph, and those of a list with commas, or all.

    Raises:
        PolymorphError: a name that is none of them; it lists those that there are.
    """
    wanted = [name.strip() for name in compare.split(",") if name.strip()]
    if wanted == ["all"]:
        return tuple(METHODS)
    for name in wanted:
        if name not in METHODS:
            raise PolymorphError(f"all, or some of {', '.join(METHODS)}", name, where="--compare")
    return tuple(dict.fromkeys((POLYMORPH, *wanted)))


def make_methods(names: Sequence[str], bundle: Bundle, device: str) -> tuple[Method, ...]:
    """Load them; each has everything of its own, as if it ran alone."""
    return tuple(METHODS[name].make(name, bundle, device) for name in names)
