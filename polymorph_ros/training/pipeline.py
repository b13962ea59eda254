"""From a configuration to a bundle: scenes, backbone, contexts, scout, adapters, thresholds.

Every stage keeps what it made under a name that hashes all that decides it, so a run that was
interrupted, or one that changes only a late stage, continues where it has to.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from polymorph_ros.bundle.manifest import (
    SCOUT_FILE,
    BackboneEntry,
    ContextEntry,
    FileEntry,
    LabelEntry,
    Manifest,
    Preprocessing,
)
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.bundle.writer import write_bundle
from polymorph_ros.contexts.formation import ContextLimits, form_contexts
from polymorph_ros.contexts.presence import true_presence
from polymorph_ros.contexts.statistics import Dynamics, dynamics, label_sets
from polymorph_ros.data.track import Track
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.meter import open_meter
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.model.scout import Scout
from polymorph_ros.runtime.belief import sigmoid
from polymorph_ros.runtime.cover import membership
from polymorph_ros.runtime.engine import Engine
from polymorph_ros.training.adapters import TokenSet, train_adapter
from polymorph_ros.training.calibration import fold_into, fold_into_head, platt
from polymorph_ros.training.config import TrainConfig
from polymorph_ros.training.features import cache_tokens
from polymorph_ros.training.frames import LabelledFrames
from polymorph_ros.training.pretrain import pretrain_backbone
from polymorph_ros.training.rehearsal import rehearse
from polymorph_ros.training.scenes import render_part
from polymorph_ros.training.scout import scout_logits, train_scout
from polymorph_ros.training.thresholds import on_off, watch

_WATCH_RECALL = 0.97

Measure = Callable[[Engine, LabelledFrames], Mapping[str, float]]


@dataclass(frozen=True)
class _Contexts:
    """The contexts with their names and dynamics."""

    labels: tuple[tuple[int, ...], ...]
    names: tuple[str, ...]
    members: NDArray[np.bool_]
    learned: Dynamics


@dataclass(frozen=True)
class _Parts:
    """Everything that goes into a bundle, on disk or in memory."""

    vocabulary: tuple[str, ...]
    preprocessing: Preprocessing
    backbone: Path
    contexts: _Contexts
    adapters: tuple[Path, ...]
    scout: Scout
    learned: Dynamics


def train_bundle(
    config: TrainConfig, out: Path, work: Path, measure: Measure, say: Callable[[str], None]
) -> Bundle:
    """Train a bundle on procedural scenes and write it.

    Args:
        config: what is trained, on what, and how.
        out: the bundle's folder; one that is there is replaced at the end.
        work: where stages keep what they made.
        measure: figures of an engine on the held-out test sequences, for the manifest.
        say: takes a line on what was done.
    """
    torch.set_num_threads(config.threads)
    torch.use_deterministic_algorithms(True)
    work.mkdir(parents=True, exist_ok=True)
    vocabulary, train = render_part(config, "train", work)
    _, validation = render_part(config, "validation", work)
    say(f"{len(train)} training and {len(validation)} validation frames, {len(vocabulary)} labels")

    size = config.backbone.image_size
    preprocessing = Preprocessing(size=size, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    preprocessor = Preprocessor(preprocessing, "cpu")
    backbone_folder = work / f"backbone-{config.key('scenes', 'backbone')}"
    if not backbone_folder.is_dir():
        pretrain_backbone(config.backbone, train, preprocessor, backbone_folder, seed=config.seed)

    tracks = train.tracks()
    learned = dynamics(tracks)
    contexts = _contexts(config, tracks, vocabulary)
    for name, labels in zip(contexts.names, contexts.labels, strict=True):
        say(f"context {name}: {', '.join(vocabulary[label] for label in labels)}")

    tail_blocks = config.adapters.tail_blocks
    backbone = load_backbone(backbone_folder)
    sets = []
    for part, frames in (("train", train), ("validation", validation)):
        file = work / f"tokens-{part}-{tail_blocks}-{config.key('scenes', 'backbone')}.npy"
        tokens = cache_tokens(backbone, tail_blocks, preprocessor, frames, file)
        sets.append(TokenSet(tokens, frames.truth, _presence(frames, contexts)))
    data, held_out = sets

    scout = train_scout(config.scout, data.tokens, data.truth, data.presence, seed=config.seed)
    watched = _calibrate_scout(scout, held_out, validation, learned)
    adapters = tuple(
        _adapter(config, work, backbone_folder, data, held_out, contexts, index)
        for index in range(len(contexts.labels))
    )
    parts = _Parts(vocabulary, preprocessing, backbone_folder, contexts, adapters, scout, learned)

    half = np.full(len(vocabulary), 0.5)
    draft = _write(config, parts, work / "draft", half, half * 0.5, watched, {})
    on, off = on_off(_beliefs(draft, validation), validation.truth)
    draft = _write(config, parts, work / "draft", on, off, watched, {})
    _, test = render_part(config, "test", work)
    metrics = dict(measure(_engine(draft), test)) | {"mean_ap_floor": config.mean_ap_floor}
    return _write(config, parts, out, on, off, watched, metrics)


def _contexts(config: TrainConfig, tracks: list[Track], vocabulary: tuple[str, ...]) -> _Contexts:
    limits = ContextLimits(config.contexts.count, config.contexts.labels_per_context)
    labels = form_contexts(label_sets(tracks), limits)
    members = membership(labels, len(vocabulary))
    present = [Track(true_presence(track, members), track.stamps_s) for track in tracks]
    return _Contexts(labels, _names(labels, vocabulary), members, dynamics(present))


def _names(labels: tuple[tuple[int, ...], ...], vocabulary: tuple[str, ...]) -> tuple[str, ...]:
    """Name each context after its most telling labels: those that fewest others have."""
    shared = np.bincount([label for group in labels for label in group], minlength=len(vocabulary))
    names: list[str] = []
    for group in labels:
        telling = sorted(group, key=lambda label: (shared[label], label))
        name = "-".join(vocabulary[label] for label in telling[:2])
        names.append(name if name not in names else f"{name}-{len(names)}")
    return tuple(names)


def _presence(frames: LabelledFrames, contexts: _Contexts) -> NDArray[np.int8]:
    return np.concatenate([true_presence(track, contexts.members) for track in frames.tracks()])


def _calibrate_scout(
    scout: Scout, held_out: TokenSet, validation: LabelledFrames, learned: Dynamics
) -> NDArray[np.float64]:
    """Calibrate the scout in place; return the thresholds at which labels are covered."""
    label_logits, context_logits = scout_logits(scout, held_out.tokens)
    scale, shift = platt(label_logits, held_out.truth)
    fold_into(scout.label_head, scale, shift)
    fold_into(scout.context_head, *platt(context_logits, held_out.presence))
    scores = sigmoid((label_logits * scale + shift).astype(np.float64))
    return watch(scores, validation, learned, _WATCH_RECALL)


def _adapter(
    config: TrainConfig,
    work: Path,
    backbone_folder: Path,
    data: TokenSet,
    held_out: TokenSet,
    contexts: _Contexts,
    index: int,
) -> Path:
    """Train and calibrate a context's adapter, unless an earlier run did."""
    key = config.key("scenes", "backbone", "contexts", "adapters")
    folder = work / f"adapters-{key}" / contexts.names[index]
    if folder.is_dir():
        return folder
    folder.parent.mkdir(exist_ok=True)
    raw = folder.with_name(f"{folder.name}.raw")
    shutil.rmtree(raw, ignore_errors=True)
    logits = train_adapter(
        config.adapters,
        backbone_folder,
        data,
        held_out,
        index,
        contexts.labels[index],
        raw,
        name=contexts.names[index],
        seed=config.seed + index,
    )
    here = held_out.presence[:, index] == 1
    truth = held_out.truth[:, list(contexts.labels[index])]
    fold_into_head(raw, *platt(logits[here], truth[here]))
    raw.rename(folder)
    return folder


def _write(
    config: TrainConfig,
    parts: _Parts,
    out: Path,
    on: NDArray[np.float64],
    off: NDArray[np.float64],
    watched: NDArray[np.float64],
    metrics: dict[str, float],
) -> Bundle:
    def write_parts(folder: Path) -> None:
        shutil.copytree(parts.backbone, folder / "backbone")
        for name, adapter in zip(parts.contexts.names, parts.adapters, strict=True):
            shutil.copytree(adapter, folder / "adapters" / name)
        save_file(parts.scout.tensors(), folder / SCOUT_FILE)

    def make_manifest(files: tuple[FileEntry, ...]) -> Manifest:
        return Manifest(
            name=config.name,
            description=config.description,
            backbone=BackboneEntry(source="bundle", name="backbone", revision=None),
            preprocessing=parts.preprocessing,
            tail_blocks=config.adapters.tail_blocks,
            labels=_label_entries(parts, on, off, watched),
            contexts=_context_entries(parts),
            metrics=metrics,
            files=files,
        )

    return write_bundle(out, write_parts, make_manifest, replace=True)


def _label_entries(
    parts: _Parts,
    on: NDArray[np.float64],
    off: NDArray[np.float64],
    watched: NDArray[np.float64],
) -> tuple[LabelEntry, ...]:
    return tuple(
        LabelEntry(
            name=name,
            on=round(float(on[label]), 4),
            off=round(float(off[label]), 4),
            watch=round(float(watched[label]), 4),
            prior=float(parts.learned.prior[label]),
            appear_hz=float(parts.learned.appear_hz[label]),
            vanish_hz=float(parts.learned.vanish_hz[label]),
        )
        for label, name in enumerate(parts.vocabulary)
    )


def _context_entries(parts: _Parts) -> tuple[ContextEntry, ...]:
    contexts = parts.contexts
    return tuple(
        ContextEntry(
            name=name,
            labels=tuple(parts.vocabulary[label] for label in contexts.labels[index]),
            folder=f"adapters/{name}",
            prior=float(contexts.learned.prior[index]),
            appear_hz=float(contexts.learned.appear_hz[index]),
            vanish_hz=float(contexts.learned.vanish_hz[index]),
        )
        for index, name in enumerate(contexts.names)
    )


def _engine(bundle: Bundle) -> Engine:
    model = PolymorphModel.from_bundle(bundle, "cpu")
    return Engine(model, bundle.manifest, EnergyLedger(open_meter("none")))


def _beliefs(bundle: Bundle, frames: LabelledFrames) -> NDArray[np.float32]:
    """The engine's scores for all frames."""
    return np.stack([result.scores for result in rehearse(_engine(bundle), frames)])
