"""All methods by name, with what each is in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.baselines.files import BASELINE_FILE, read_baseline
from polymorph_ros.evaluation.methods import baselines
from polymorph_ros.evaluation.methods.engine_method import (
    AS_THE_NODE,
    EngineMethod,
    OracleCoverMethod,
)
from polymorph_ros.evaluation.methods.method import Method
from polymorph_ros.evaluation.methods.policies import AllAdapters
from polymorph_ros.evaluation.methods.switching import (
    MergedLora,
    PeftMixedBatch,
    SwitchedSpecialists,
    WholeForwardModel,
)
from polymorph_ros.evaluation.methods.ungated import UngatedModel
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.runtime.engine import MakePolicy
from polymorph_ros.runtime.policy import Policy

POLYMORPH = "polymorph"
_LIVE_WORDS = {"polymorph_live": "the real node over DDS; frames may drop"}


@dataclass(frozen=True)
class Source:
    """What methods are made from.

    Attributes:
        baselines: folder with trained baselines.
    """

    bundle: Bundle
    device: str
    baselines: Path


@dataclass(frozen=True)
class Entry:
    """A method: what it is, how it is made, and the trained baseline that it needs, if any."""

    words: str
    make: Callable[[str, Source], Method]
    baseline: str = ""


def _engine(
    model: type[PolymorphModel] = PolymorphModel, make_policy: MakePolicy = Policy
) -> Callable[[str, Source], Method]:
    def make(name: str, source: Source) -> Method:
        loaded = model.from_bundle(source.bundle, source.device)
        return EngineMethod(name, loaded, source.bundle, make_policy)

    return make


def _whole_forward(kind: type[WholeForwardModel]) -> Callable[[str, Source], Method]:
    def make(name: str, source: Source) -> Method:
        return EngineMethod(name, kind.of(source.bundle, source.device), source.bundle)

    return make


def _oracle_cover(name: str, source: Source) -> Method:
    model = PolymorphModel.from_bundle(source.bundle, source.device)
    return OracleCoverMethod(name, model, source.bundle)


def _no_time(name: str, source: Source) -> Method:
    model = PolymorphModel.from_bundle(source.bundle, source.device)
    return EngineMethod(name, model, source.bundle, remembers=False)


def _no_reuse(name: str, source: Source) -> Method:
    model = PolymorphModel.from_bundle(source.bundle, source.device)
    settings = replace(AS_THE_NODE, reuse_s=0.0)
    return EngineMethod(name, model, source.bundle, settings=settings)


def _baseline(
    make: Callable[[str, Bundle, str, Path], Method],
) -> Callable[[str, Source], Method]:
    return lambda name, source: make(name, source.bundle, source.device, source.baselines)


METHODS: Mapping[str, Entry] = {
    POLYMORPH: Entry("the bundle's engine, as the node runs it", _engine()),
    "all_adapters": Entry(
        "composed, every adapter for every frame", _engine(make_policy=AllAdapters)
    ),
    "oracle_cover": Entry("the true labels choose the adapters", _oracle_cover),
    "polymorph_no_gating": Entry("adapters' scores without P(context)", _engine(UngatedModel)),
    "polymorph_no_filter": Entry("every frame on its own: no belief over time", _no_time),
    "polymorph_no_reuse": Entry("every picture computed, also unchanged ones", _no_reuse),
    "polymorph_all_label_weights": Entry(
        "same gating and cover, one all-label LoRA of the adapters' total size",
        _baseline(baselines.all_label_weights),
        "lora_same_size",
    ),
    "switched_specialists": Entry(
        "a whole model per context, switched", _whole_forward(SwitchedSpecialists)
    ),
    "merged_lora": Entry(
        "adapters merged into one model and out again", _whole_forward(MergedLora)
    ),
    "peft_mixed_batch": Entry(
        "PEFT's batch with an adapter per row", _whole_forward(PeftMixedBatch)
    ),
    "all_label_lora": Entry(
        "one LoRA for all labels, an adapter's rank", _baseline(baselines.all_label_lora), "lora"
    ),
    "all_label_lora_same_size": Entry(
        "one LoRA for all labels, of the adapters' total size",
        _baseline(partial(baselines.of_folder, "lora_same_size")),
        "lora_same_size",
    ),
    "all_label_lora_belief": Entry(
        "that LoRA with Polymorph's belief and gating: the fair baseline",
        _baseline(baselines.all_label_lora_belief),
        "lora_same_size",
    ),
    "restricted_head": Entry(
        "all_label_lora, scores kept for active contexts only",
        _baseline(baselines.restricted_head),
        "lora",
    ),
    "frame_skip": Entry(
        "all_label_lora, unchanged pictures skipped", _baseline(baselines.frame_skip), "lora"
    ),
    "linear_probe": Entry(
        "a head on the frozen backbone",
        _baseline(partial(baselines.of_folder, "linear_probe")),
        "linear_probe",
    ),
    "full_finetune": Entry(
        "every weight of the backbone trained",
        _baseline(partial(baselines.of_folder, "full_finetune")),
        "full_finetune",
    ),
    "larger_backbone": Entry(
        "the next larger backbone, one LoRA for all labels",
        _baseline(partial(baselines.of_folder, "larger_backbone")),
        "larger_backbone",
    ),
}


def words_of(method: str) -> str:
    """What a method is; nothing for one that is not in the table."""
    return METHODS[method].words if method in METHODS else _LIVE_WORDS.get(method, "")


def trained_as(method: str, bundle: Bundle, folder: Path) -> dict[str, int] | None:
    """Gradient steps and trained parameters of a method's baseline; None where it needs none."""
    entry = METHODS.get(method)
    if entry is None or not entry.baseline:
        return None
    text = read_baseline(folder / entry.baseline, bundle).text
    return {"steps": text.steps, "parameters": text.parameters}


def baselines_beside(bundle: Path) -> Path:
    """The folder in which a bundle's baselines lie."""
    resolved = bundle.expanduser().resolve()
    return resolved.with_name(f"{resolved.name}-baselines")


def method_names(compare: str, folder: Path) -> tuple[str, ...]:
    """The methods to run: Polymorph, and those of a list with commas, or all.

    All are those whose trained baseline is in the folder, where they need one.

    Raises:
        PolymorphError: a name that is none of them; it lists those that there are.
    """
    wanted = [name.strip() for name in compare.split(",") if name.strip()]
    if wanted == ["all"]:
        return tuple(
            name
            for name, entry in METHODS.items()
            if not entry.baseline or (folder / entry.baseline / BASELINE_FILE).is_file()
        )
    for name in wanted:
        if name not in METHODS:
            raise PolymorphError(f"all, or some of {', '.join(METHODS)}", name, where="--compare")
    return tuple(dict.fromkeys((POLYMORPH, *wanted)))


def baselines_of(compare: str, folder: Path) -> tuple[str, ...]:
    """The trained baselines that some methods need; those of all where none is named.

    Raises:
        PolymorphError: as ``method_names``.
    """
    every = compare.strip() in ("", "all")
    names = tuple(METHODS) if every else method_names(compare, folder)
    return tuple(dict.fromkeys(METHODS[name].baseline for name in names if METHODS[name].baseline))


def make_methods(names: Sequence[str], source: Source) -> tuple[Method, ...]:
    """Load them; each has everything of its own, as if it ran alone."""
    return tuple(METHODS[name].make(name, source) for name in names)
