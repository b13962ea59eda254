"""Ablation: how adapters come to be good in their context, at equal gradient steps in all.

    build/venv/bin/polymorph train config/rooms_and_streets.yaml --out build/rooms_and_streets
    build/venv/bin/python benchmarks/specialisation.py [--steps 1000] [--methods own,all-8]

Labels come and go as in real video (an EPIC-KITCHENS trace), pictures are made, the backbone is
small and has never seen the labels. Scored on sequences that were not trained on, in four ways:

- ``always_on``: every adapter runs, the highest score of a label counts.
- ``known``: only adapters whose context is truly there count; the upper bound.
- ``runtime``: the node's own policy: scout, belief over time, cover.
- ``oracle_cover``: the same policy, but the true cover runs.

A baseline for all labels is scored as an adapter of each context, and as ``baseline_belief``: the
policy takes its scores of all labels in place of the scout's, the fairest that can be done for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from transformers import ViTModel

from parts.machine import machine_facts, machine_name
from parts.metrics import Results, rounded
from parts.scout_thresholds import cover_threshold, learn_correlation
from parts.synthetic_backbone import resized, synthetic_backbone
from parts.traced_tokens import PREPROCESSING, TAIL_BLOCKS, Part, traced_parts
from polymorph_ros.bundle.reader import read_bundle
from polymorph_ros.contexts.cost import membership
from polymorph_ros.contexts.formation import ContextLimits, form_contexts
from polymorph_ros.contexts.presence import true_presence
from polymorph_ros.contexts.statistics import dynamics
from polymorph_ros.data.average_precision import mean_average_precision
from polymorph_ros.data.track import Track
from polymorph_ros.evaluation.metrics.calibration import calibration_error
from polymorph_ros.files import write_json
from polymorph_ros.runtime.belief import sigmoid
from polymorph_ros.runtime.knowledge import EvidenceWeights, Knowledge
from polymorph_ros.runtime.pairs import make_pairs
from polymorph_ros.runtime.policy import Policy
from polymorph_ros.runtime.thresholds import Thresholds
from polymorph_ros.training.calibration import platt
from polymorph_ros.training.config import AdaptersConfig, ScoutConfig
from polymorph_ros.training.frames import LabelledFrames
from polymorph_ros.training.stages.adapter import Lesson, train_adapter
from polymorph_ros.training.stages.scout import calibrate_scout, scout_logits, train_scout
from polymorph_ros.training.token_set import TokenSet

_HERE = Path(__file__).resolve().parent
_TRACE = _HERE.parents[1] / "shared/data/traces/epic55_active_nouns_1hz.jsonl.gz"
_BATCH = 64
_RECALL = 0.97
_HELD_OUT = ("validation", "test")

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """What all methods share.

    Attributes:
        contexts: label indices of each.
        data: tokens, truth and presence of each part.
        parts: the same with their stretches.
        label_scores, context_scores: the scout's, of each part.
        knowledge: of the policy.
    """

    contexts: tuple[tuple[int, ...], ...]
    data: dict[str, TokenSet]
    parts: dict[str, Part]
    label_scores: dict[str, Array]
    context_scores: dict[str, Array]
    knowledge: Knowledge
    backbone: Path
    work: Path
    steps: int


@dataclass(frozen=True)
class Method:
    """How adapters are taught.

    Attributes:
        rank: of each; alpha is twice that.
        others: frames of other contexts per own one; none: one adapter for all labels.
        hard: the others are rather those in which the scout sees the context, wrongly.
    """

    rank: int
    others: float | None = 0.0
    hard: bool = False


METHODS = {
    "all-8": Method(8, None),
    "all-64": Method(64, None),
    "own": Method(8),
    "own-rank-4": Method(4),
    "own-rank-16": Method(16),
    "own+0.3": Method(8, 0.3),
    "own+1": Method(8, 1.0),
    "own+0.5-hard": Method(8, 0.5, hard=True),
}


def main(
    trace: Annotated[Path, typer.Option(help="Label trace.")] = _TRACE,
    labels: Annotated[int, typer.Option(help="The most frequent ones.")] = 60,
    contexts: Annotated[int, typer.Option(help="How many.")] = 8,
    labels_per_context: Annotated[int, typer.Option(help="At most.")] = 10,
    stretches: Annotated[int, typer.Option(help="Of 6 frames, to train on.")] = 3500,
    steps: Annotated[int, typer.Option(help="Gradient steps of each method in all.")] = 1000,
    methods: Annotated[str, typer.Option(help="Names, by commas.")] = ",".join(METHODS),
    backbone: Annotated[Path | None, typer.Option(help="A checkpoint to use.")] = None,
    work: Annotated[Path, typer.Option(help="Artifact between runs.")] = Path(
        "build/specialisation"
    ),
    json: Annotated[Path | None, typer.Option(help="Where the metrics go.")] = None,
) -> None:
    """Train and score every method; write the metrics after each."""
    torch.set_num_threads(1)
    work.mkdir(parents=True, exist_ok=True)
    made = backbone or synthetic_backbone(_start(), PREPROCESSING, 6000, 4, work / "backbone")
    names, parts = traced_parts(trace, labels, stretches, made, work)
    limits = ContextLimits(contexts, labels_per_context)
    setting = _setting(names, parts, limits, made, work, steps)
    metrics: Results = {
        "benchmark": "specialisation",
        "machine": machine_facts(),
        "pixels": "synthetic",
        "label_sequences": f"real: {trace.name}",
        "frames": {name: len(part.truth) for name, part in parts.items()},
        "labels": labels,
        "contexts": len(setting.contexts),
        "gradient_steps_in_all": steps,
        "correlation_s": setting.knowledge.weights.correlation_s,
        "scout": {part: _scout_metrics(setting, part) for part in _HELD_OUT},
        "methods": {},
    }
    path = json or _HERE / "results" / f"specialisation-{machine_name()}.json"
    for name in methods.split(","):
        metrics["methods"][name] = _metrics(setting, name, METHODS[name])
        typer.echo(f"{name}: {metrics['methods'][name]}")
        write_json(path, metrics)


def _start() -> ViTModel:
    """The backbone of config/rooms_and_streets.yaml, for smaller pictures."""
    known = read_bundle(_HERE.parent / "build/rooms_and_streets")
    folder = known.backbone_location
    model = ViTModel.from_pretrained(folder, add_pooling_layer=False, dtype=torch.float32)
    return resized(model, PREPROCESSING.size)


def _setting(
    names: tuple[str, ...],
    parts: dict[str, Part],
    limits: ContextLimits,
    backbone: Path,
    work: Path,
    steps: int,
) -> Setting:
    """Contexts, scout and what the policy knows, learned from the training part."""
    tracks = parts["train"].tracks
    contexts = form_contexts(tracks, limits)
    members = membership(contexts, len(names))
    presence = {
        name: [true_presence(track, members) for track in part.tracks]
        for name, part in parts.items()
    }
    data = {
        name: TokenSet(part.tokens, part.truth, np.concatenate(presence[name]))
        for name, part in parts.items()
    }
    config = ScoutConfig(epochs=5)
    scout = train_scout(config, data["train"], seed=0, checkpoint=work / "scout.safetensors")
    calibrate_scout(scout, data["validation"])
    logits = {name: scout_logits(scout, each) for name, each in data.items()}
    scores = {name: sigmoid(both[0].astype(np.float64)) for name, both in logits.items()}
    there = [
        Track(each, track.stamps_s) for each, track in zip(presence["train"], tracks, strict=True)
    ]
    label_dynamics, context_dynamics = dynamics(tracks), dynamics(there)
    frames = _frames(parts["validation"])
    correlation_s = learn_correlation(scores["validation"], frames, label_dynamics)
    cover = cover_threshold(scores["validation"], frames, label_dynamics, _RECALL, correlation_s)
    half = np.full(len(names), 0.5)
    knowledge = Knowledge(
        labels=names,
        context_names=tuple(f"context {index}" for index in range(len(contexts))),
        contexts=contexts,
        members=members,
        pairs=make_pairs(contexts, label_dynamics.prior, context_dynamics.prior),
        label_dynamics=label_dynamics,
        context_dynamics=context_dynamics,
        costs=np.ones(len(contexts)),
        thresholds=Thresholds(half, half * 0.5, cover),
        weights=EvidenceWeights(correlation_s=correlation_s),
    )
    context_scores = {name: sigmoid(both[1].astype(np.float64)) for name, both in logits.items()}
    return Setting(contexts, data, parts, scores, context_scores, knowledge, backbone, work, steps)


def _frames(part: Part) -> LabelledFrames:
    """The truth as training's own functions take it; pictures are not looked at."""
    numbers = np.repeat(np.arange(len(part.tracks)), [len(t.truth) for t in part.tracks])
    stamps = np.concatenate([track.stamps_s for track in part.tracks])
    empty = np.zeros((len(part.truth), 1, 1, 3), np.uint8)
    return LabelledFrames(empty, part.truth, numbers.astype(np.int32), stamps)


def _scout_metrics(setting: Setting, part: str) -> Results:
    truth, presence = setting.parts[part].truth, setting.data[part].presence
    labels, contexts = setting.label_scores[part], setting.context_scores[part]
    return {
        "label_mean_ap": rounded(mean_average_precision(labels.astype(np.float32), truth)),
        "context_mean_ap": rounded(mean_average_precision(contexts.astype(np.float32), presence)),
        "context_calibration_error": rounded(
            calibration_error(contexts.astype(np.float32), presence)
        ),
    }


def _metrics(setting: Setting, name: str, method: Method) -> Results:
    """Train a method and score it on both held-out parts."""
    one_for_all = method.others is None
    every = tuple(range(len(setting.knowledge.labels)))
    lessons = [(every, None)] if one_for_all else [
        (labels, index) for index, labels in enumerate(setting.contexts)
    ]  # fmt: skip
    taught = [
        _taught(setting, name, method, labels, index, setting.steps // len(lessons))
        for labels, index in lessons
    ]
    metrics: Results = {}
    for part in _HELD_OUT:
        if one_for_all:
            raw = {
                p: [taught[0][p][:, list(labels)] for labels in setting.contexts] for p in _HELD_OUT
            }
        else:
            raw = {p: [each[p] for each in taught] for p in _HELD_OUT}
        metrics[part] = _scored(setting, part, raw)
        if one_for_all:
            scale, shift = platt(taught[0]["validation"], setting.parts["validation"].truth)
            alone = sigmoid((taught[0][part] * scale + shift).astype(np.float64))
            own = [alone[:, list(labels)] for labels in setting.contexts]
            belief, _ = _run(setting, part, alone, own)
            metrics[part]["baseline_belief"] = _mean_ap(setting, part, belief)
    return metrics


def _taught(
    setting: Setting,
    name: str,
    method: Method,
    labels: tuple[int, ...],
    context: int | None,
    steps: int,
) -> dict[str, NDArray[np.float32]]:
    """Logits of an adapter on the held-out parts; trained unless an earlier run did."""
    file = setting.work / f"{name}-{setting.steps}-{'all' if context is None else context}.npz"
    if not file.is_file():
        data = setting.data["train"]
        rows = _rows(setting, method, context)
        rows = np.resize(np.random.default_rng(0).permutation(rows), steps * _BATCH)
        lesson = TokenSet(data.tokens[rows], data.truth[rows], np.ones((len(rows), 1), np.int8))
        config = AdaptersConfig(
            tail_blocks=TAIL_BLOCKS, rank=method.rank, alpha=2 * method.rank, others=0.0,
            epochs=1, batch_size=_BATCH, learning_rate=3e-3,
        )  # fmt: skip
        both = TokenSet(
            np.concatenate([setting.data[part].tokens for part in _HELD_OUT]),
            np.concatenate([setting.data[part].truth for part in _HELD_OUT]),
            np.concatenate([setting.data[part].presence for part in _HELD_OUT]),
        )
        task = Lesson(lesson, file.stem, 0, labels)
        checkpoint = file.with_suffix(".safetensors")
        adapter = train_adapter(config, setting.backbone, task, checkpoint, seed=context or 0)
        logits = both.outputs(adapter)
        middle = len(setting.data["validation"])
        np.savez(file, validation=logits[:middle], test=logits[middle:])
    with np.load(file) as kept:
        return {part: kept[part] for part in _HELD_OUT}


def _rows(setting: Setting, method: Method, context: int | None) -> NDArray[np.int64]:
    """The frames that teach an adapter."""
    data = setting.data["train"]
    if context is None or method.others is None:
        return np.arange(len(data))
    there = data.presence[:, context] == 1
    own, rest = np.flatnonzero(there), np.flatnonzero(~there)
    count = min(len(rest), round(method.others * len(own)))
    weights = setting.context_scores["train"][rest, context] if method.hard else np.ones(len(rest))
    weights = weights / weights.sum()
    chosen = np.random.default_rng(context).choice(rest, count, replace=False, p=weights)
    return np.concatenate([own, chosen])


def _scored(setting: Setting, part: str, raw: dict[str, list[NDArray[np.float32]]]) -> Results:
    """The four ways of scoring, from logits per context of each part."""
    presence = setting.data[part].presence
    answers = []
    for index, labels in enumerate(setting.contexts):
        here = setting.data["validation"].presence[:, index] == 1
        truth = setting.parts["validation"].truth[here][:, list(labels)]
        scale, shift = platt(raw["validation"][index][here], truth)
        answers.append(sigmoid((raw[part][index] * scale + shift).astype(np.float64)))
    everywhere = np.ones_like(presence)
    plain = [sigmoid(each.astype(np.float64)) for each in raw[part]]
    runtime, adapters = _run(setting, part, setting.label_scores[part], answers)
    oracle, _ = _run(setting, part, setting.label_scores[part], answers, presence)
    ways = {
        "always_on": _best(setting, plain, everywhere),
        "known": _best(setting, answers, presence),
        "runtime": runtime,
        "oracle_cover": oracle,
    }
    metrics: Results = {name: _mean_ap(setting, part, scores) for name, scores in ways.items()}
    return metrics | {"adapters_per_frame": rounded(adapters)}


def _best(setting: Setting, answers: Sequence[Array], counts: NDArray[np.int8]) -> Array:
    """The highest score of each label among the adapters that count in a frame."""
    best = np.zeros((len(counts), len(setting.knowledge.labels)))
    for index, labels in enumerate(setting.contexts):
        columns, here = list(labels), counts[:, index, None] == 1
        best[:, columns] = np.maximum(best[:, columns], np.where(here, answers[index], 0.0))
    return best


def _run(
    setting: Setting,
    part: str,
    label_scores: Array,
    answers: Sequence[Array],
    cover: NDArray[np.int8] | None = None,
) -> tuple[Array, float]:
    """The policy's beliefs of all frames, and how many adapters it ran in each."""
    beliefs, adapters = np.empty_like(label_scores), 0
    held_out = setting.parts[part]
    for rows, track in zip(held_out.slices(), held_out.tracks, strict=True):
        policy = Policy(setting.knowledge)
        for row, stamp_s in zip(range(rows.start, rows.stop), track.stamps_s, strict=True):
            policy.update_from_scout(
                round(stamp_s * 1e9), label_scores[row], setting.context_scores[part][row]
            )
            chosen = policy.select().adapters
            if cover is not None:
                chosen = tuple(np.flatnonzero(cover[row]).tolist())
            policy.update_from_adapters(chosen, [answers[adapter][row] for adapter in chosen])
            beliefs[row] = policy.label_belief
            adapters += len(chosen)
    return beliefs, adapters / len(beliefs)


def _mean_ap(setting: Setting, part: str, scores: Array) -> float:
    truth = setting.parts[part].truth
    return rounded(mean_average_precision(scores.astype(np.float32), truth))


if __name__ == "__main__":
    typer.run(main)
