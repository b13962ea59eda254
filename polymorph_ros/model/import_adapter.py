"""Put an adapter that was trained elsewhere into a bundle, as a context of its own."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save_file

from polymorph_ros.bundle.manifest import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_WEIGHTS_FILE,
    HEAD_FILE,
    SCOUT_FILE,
    ContextEntry,
    FileEntry,
    LabelEntry,
    Manifest,
)
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.bundle.writer import write_bundle
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.adapter import read_adapter
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.tensor_file import read_tensors

_LEAST = 1e-4


@dataclass(frozen=True)
class ForeignAdapter:
    """An adapter in PEFT's files, and what it is for.

    Attributes:
        folder: with PEFT's ``adapter_config.json`` and ``adapter_model.safetensors``.
        head: a safetensors file with ``weight`` (labels, features) and ``bias`` (labels,): its
            sigmoid is each label's probability, given that the context is there.
        name: of the context.
        labels: in the order of the head's rows.
    """

    folder: Path
    head: Path
    name: str
    labels: tuple[str, ...]


def import_adapter(bundle: Bundle, adapter: ForeignAdapter, out: Path | None = None) -> Bundle:
    """Write a bundle that has the adapter as a further context, or instead of the one of its name.

    What an adapter does not say is filled in without any claim: the scout gives a
    context that it was not trained for its prior in every picture, and priors and rates follow
    from those of the labels as if these were independent. Thresholds belong to labels and stay.
    The bundle's metrics are dropped: they were measured without the adapter.

    Args:
        bundle: what is added to; its adapters are stored as float32.
        adapter: what is added.
        out: the new bundle's folder, which must not exist; None to replace the old one, at one
            instant and only when the new one is whole.

    Raises:
        PolymorphError: the adapter or its head cannot be read or does not fit the backbone, a
            label is not in the vocabulary or would be left without a context, or something is
            in the way.
    """
    manifest = bundle.manifest
    _check(manifest, adapter, bundle.path)
    _check_weights(bundle, adapter)
    contexts, new = _with_context(manifest, adapter)
    index = [context.name for context in contexts].index(adapter.name)
    folder = Path(contexts[index].folder)

    def write_parts(fresh: Path) -> None:
        for entry in manifest.files:
            (fresh / entry.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.path / entry.path, fresh / entry.path)
        shutil.rmtree(fresh / folder, ignore_errors=True)
        (fresh / folder).mkdir(parents=True)
        shutil.copyfile(adapter.folder / ADAPTER_CONFIG_FILE, fresh / folder / ADAPTER_CONFIG_FILE)
        _copy_tensors(adapter.folder / ADAPTER_WEIGHTS_FILE, fresh / folder / ADAPTER_WEIGHTS_FILE)
        _copy_tensors(adapter.head, fresh / folder / HEAD_FILE)
        if new:
            _set_scout_row(fresh, manifest, index, contexts[index].prior)

    def make_manifest(files: tuple[FileEntry, ...]) -> Manifest:
        return manifest.model_copy(update={"contexts": contexts, "metrics": {}, "files": files})

    target = bundle.path if out is None else out
    return write_bundle(target, write_parts, make_manifest, replace=out is None)


def _check(manifest: Manifest, adapter: ForeignAdapter, path: Path) -> None:
    vocabulary = {label.name for label in manifest.labels}
    if manifest.adapter_type != "float32":
        raise PolymorphError(
            "a bundle whose adapters are stored as float32",
            manifest.adapter_type,
            where=str(path),
            remedy="import into the bundle that it was packed from, and pack it again",
        )
    if not re.fullmatch(r"[^\W_][\w.-]*", adapter.name):
        raise PolymorphError("a name of letters, digits, - and _", repr(adapter.name))
    if not adapter.labels or len(set(adapter.labels)) != len(adapter.labels):
        raise PolymorphError("labels, each once", ", ".join(adapter.labels) or "none")
    unknown = [label for label in adapter.labels if label not in vocabulary]
    if unknown:
        raise PolymorphError(
            "labels of the bundle's vocabulary",
            ", ".join(unknown),
            where=str(path),
            remedy="the scout must learn new labels first: polymorph train --add DATA --to BUNDLE",
        )
    others = (c.labels for c in manifest.contexts if c.name != adapter.name)
    left = vocabulary - set(adapter.labels).union(*others)
    if left:
        raise PolymorphError(
            f"labels with which every label keeps a context: {', '.join(sorted(left))} too",
            ", ".join(adapter.labels),
            where=str(path),
        )


def _check_weights(bundle: Bundle, adapter: ForeignAdapter) -> None:
    pickled = adapter.folder / "adapter_model.bin"
    if pickled.is_file() and not (adapter.folder / ADAPTER_WEIGHTS_FILE).is_file():
        raise PolymorphError(
            f"the file {ADAPTER_WEIGHTS_FILE}",
            pickled.name,
            where=str(adapter.folder),
            remedy="a pickle may run any code: save it again with safe_serialization=True",
        )
    manifest = bundle.manifest
    backbone = load_backbone(bundle.backbone_location, manifest.backbone.revision, download=False)
    weights = read_adapter(adapter.folder, backbone, manifest.tail_blocks, adapter.head)
    if len(weights.head_bias) != len(adapter.labels):
        raise PolymorphError(
            f"{len(adapter.labels)} rows, one for each of {', '.join(adapter.labels)}",
            f"{len(weights.head_bias)}",
            where=str(adapter.head),
        )


def _with_context(
    manifest: Manifest, adapter: ForeignAdapter
) -> tuple[tuple[ContextEntry, ...], bool]:
    """The contexts with this one, and whether the scout does not know it."""
    old = next((c for c in manifest.contexts if c.name == adapter.name), None)
    if old is None:
        return (*manifest.contexts, _entry(manifest, adapter)), True
    if set(old.labels) == set(adapter.labels):
        order = [old.labels.index(label) for label in adapter.labels]
        entry = old.model_copy(
            update={
                "labels": adapter.labels,
                "reliability": None,
                "shares": _reordered(old.shares, order),
                "label_priors": _reordered(old.label_priors, order),
            }
        )
    else:
        entry = _entry(manifest, adapter).model_copy(update={"folder": old.folder})
    contexts = tuple(entry if c is old else c for c in manifest.contexts)
    return contexts, set(old.labels) != set(adapter.labels)


def _reordered(values: Sequence[float] | None, order: Sequence[int]) -> tuple[float, ...] | None:
    return None if values is None else tuple(values[index] for index in order)


def _entry(manifest: Manifest, adapter: ForeignAdapter) -> ContextEntry:
    """What is said of a context about which only its labels are known.

    It is there while one of its labels is; labels are taken as independent, and rates so that
    appearing and vanishing balance at the prior.
    """
    by_name = {label.name: label for label in manifest.labels}
    labels = [by_name[name] for name in adapter.labels]
    absent = math.prod(1.0 - label.prior for label in labels)
    prior = min(max(1.0 - absent, _LEAST), 1.0 - _LEAST)
    appear_hz = sum(label.appear_hz for label in labels)
    others = [c for c in manifest.contexts if c.name != adapter.name]
    shares = [_share(label, prior, others) for label in labels]
    known = all(c.shares is not None and c.label_priors is not None for c in others)
    return ContextEntry(
        name=adapter.name,
        labels=adapter.labels,
        folder=f"adapters/{adapter.name}",
        prior=prior,
        appear_hz=appear_hz,
        vanish_hz=appear_hz * (1.0 - prior) / prior,
        reliability=None,
        shares=tuple(shares) if known else None,
        label_priors=tuple(
            min(1.0, label.prior * share / prior)
            for label, share in zip(labels, shares, strict=True)
        )
        if known
        else None,
    )


def _share(label: LabelEntry, prior: float, others: Sequence[ContextEntry]) -> float:
    """A label's contexts share it by their priors, as where nothing is known."""
    return prior / (prior + sum(c.prior for c in others if label.name in c.labels))


def _copy_tensors(source: Path, target: Path) -> None:
    tensors = {name.replace("_orig_mod.", ""): t for name, t in read_tensors(source).items()}
    save_file(tensors, target, metadata={"format": "pt"})


def _set_scout_row(folder: Path, manifest: Manifest, context: int, prior: float) -> None:
    """Let the scout, and its own adapter, say the prior of a context that they do not know."""
    logit = math.log(prior / (1.0 - prior))
    _set_row(folder / SCOUT_FILE, "context_head.", context, logit)
    if manifest.scout_adapter is not None:
        row = len(manifest.labels) + context
        _set_row(folder / manifest.scout_adapter / HEAD_FILE, "", row, 0.0)


def _set_row(file: Path, head: str, row: int, bias: float) -> None:
    """Set one row of a head to zero weights and this bias; the row after the last is added."""
    tensors = read_tensors(file)
    for name, value in ((f"{head}weight", 0.0), (f"{head}bias", bias)):
        tensor = tensors[name]
        grown = tensor.new_zeros((max(len(tensor), row + 1), *tensor.shape[1:]))
        grown[: len(tensor)] = tensor
        grown[row] = value
        tensors[name] = grown
    save_file(tensors, file, metadata={"format": "pt"})


def base_of(folder: Path) -> str:
    """The base model that an adapter's configuration names, "" where it names none."""
    config = json.loads((folder / ADAPTER_CONFIG_FILE).read_text(encoding="utf-8"))
    return str(config.get("base_model_name_or_path") or "")
