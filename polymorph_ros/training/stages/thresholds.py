"""Stage: what the policy needs to know, chosen by replaying it whole on validation sequences."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.bundle.manifest import OverTimeEntry, SingleContextEntry
from polymorph_ros.data.average_precision import mean_average_precision
from polymorph_ros.files import write_json
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.runtime.knowledge import EvidenceWeights, Knowledge
from polymorph_ros.runtime.thresholds import Thresholds, held_active, off_below
from polymorph_ros.training.artifacts import Artifact, Planned
from polymorph_ros.training.cost import Rates, StageCost
from polymorph_ros.training.frames import count_frames, load_frames
from polymorph_ros.training.loop import set_up_torch
from polymorph_ros.training.score_replay import StoredScores, replay, store_scores
from polymorph_ros.training.stages.bundle import BundleParts, Tuned, assemble
from polymorph_ros.training.stages.contexts import load_contexts

TOLERATED = 0.01  # of the log loss of beliefs, what fewer adapters may cost

# What is tried of each weight, in this order, again and again until nothing is better.
_TRIED: dict[str, tuple[float, ...]] = {
    "cooccurrence": (0.0, 0.25, 0.5, 1.0),
    "scout": (0.0, 0.3, 0.6, 1.0),
    "context": (0.0, 0.3, 0.6, 1.0),
    "answers": (0.0, 0.25, 0.5, 1.0),
}
# What is tried of `correlation_s` and `smoothing_s`; the first leaves every frame to itself. Where
# labels seldom change a longer mean would fit even better, but a label that comes has to be
# believed within a fraction of a second.
_TIMES = tuple(product((math.inf, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0), (0.0, 0.1, 0.3)))
_ROUNDS = 3
SAME_AP = 0.002  # mean average precisions that differ by less are as good as each other
_COVER_THRESHOLDS = np.geomspace(0.01, 0.5, 16)
_FIRST_COVER_THRESHOLD = 0.1  # before another is chosen
_ONS = np.linspace(0.1, 0.9, 33)

_FILE = "tuned.json"


@dataclass(frozen=True)
class ThresholdsStage:
    """Evidence weights and thresholds, tuned on a draft of the bundle.

    A bundle that is added to keeps its weights and its labels' thresholds.
    """

    parts: BundleParts
    threads: int
    name: ClassVar[str] = "thresholds"

    def cost(self, rates: Rates) -> StageCost:
        """The whole model on every validation frame; the replays are not counted."""
        frames = count_frames(self.parts.features.validation.frames)
        return StageCost(frames=frames, seconds=frames * rates.engine_frame_s)

    def write(self, folder: Path) -> None:
        """Store the draft's scores, choose on them, write what was chosen."""
        set_up_torch(self.threads, self.parts.features.device)
        parts, count = self.parts, len(self.parts.labels)
        draft = assemble(parts, Tuned(first_thresholds(count)), {}, folder / "draft")
        names = tuple(label.name for label in draft.manifest.labels)
        vocabulary = load_contexts(parts.features.contexts).vocabulary
        frames = load_frames(parts.features.validation.frames.folder)
        model = PolymorphModel.from_bundle(draft, parts.features.device)
        stored = store_scores(model, frames.in_vocabulary(vocabulary, names))
        knowledge, over_time = Knowledge.of(draft.manifest), None
        if parts.old is None:
            knowledge = replace(knowledge, weights=choose_weights(stored, knowledge))
            weights, over_time = choose_time(stored, knowledge)
            knowledge = replace(knowledge, weights=weights)
        labels = np.arange(len(names) - count, len(names))
        chosen = choose_thresholds(stored, knowledge, labels)
        thresholds = {name: values[labels].tolist() for name, values in vars(chosen).items()}
        replayed = replay(stored, replace(knowledge, thresholds=chosen))
        document = {
            "validation": {
                "mean_ap": mean_average_precision(replayed.beliefs, stored.frames.truth),
                "adapters": float(replayed.adapters.mean()),
            },
            "thresholds": thresholds,
            "weights": asdict(knowledge.weights),
            "over_time": over_time.model_dump() if over_time else None,
        }
        write_json(folder / _FILE, document)
        shutil.rmtree(draft.path)


def load_tuned(thresholds: Artifact) -> Tuned:
    """What the stage chose."""
    document = json.loads((thresholds.folder / _FILE).read_text(encoding="utf-8"))
    chosen = {name: np.array(values) for name, values in document["thresholds"].items()}
    compared = document["over_time"]
    over_time = OverTimeEntry.model_validate(compared) if compared else None
    return Tuned(Thresholds(**chosen), EvidenceWeights(**document["weights"]), over_time)


def compare_contexts(several: Artifact, single: Artifact) -> SingleContextEntry | None:
    """Whether one context of all labels is better, by what both stages measured in validation.

    Returns:
        the comparison; none where validation frames have no label, or nothing was run.
    """
    if isinstance(several, Planned) or isinstance(single, Planned):
        return None
    found, alone = (
        json.loads((stage.folder / _FILE).read_text(encoding="utf-8"))["validation"]
        for stage in (several, single)
    )
    if math.isnan(found["mean_ap"]):
        return None
    return SingleContextEntry(
        used=alone["mean_ap"] > found["mean_ap"] + SAME_AP,
        mean_ap=round(alone["mean_ap"], 5),
        mean_ap_several=round(found["mean_ap"], 5),
        adapters=round(found["adapters"], 3),
    )


def first_thresholds(labels: int) -> Thresholds:
    """Thresholds before any are chosen, each of shape (labels,)."""
    half = np.full(labels, 0.5)
    return Thresholds(half, off_below(half), np.full(labels, _FIRST_COVER_THRESHOLD))


def choose_weights(stored: StoredScores, knowledge: Knowledge) -> EvidenceWeights:
    """The weights of evidence at which beliefs of single frames fit the truth best.

    Evidence that other evidence contains makes beliefs too sure where it counts again. Evidence
    that is left out leaves them unsure. Each weight in turn takes the value with the least log
    loss of the beliefs.

    Returns:
        weights of a coarse grid; every frame stands for itself.
    """

    @cache
    def loss(weights: EvidenceWeights) -> float:
        beliefs = replay(stored, replace(knowledge, weights=weights)).beliefs
        return log_loss(beliefs, stored.frames.truth)

    best = replace(knowledge.weights, correlation_s=math.inf, smoothing_s=0.0)
    for _ in range(_ROUNDS):
        before = best
        for name, values in _TRIED.items():
            best = min((replace(best, **{name: value}) for value in values), key=loss)
        if best == before:
            break
    return best


def choose_time(
    stored: StoredScores, knowledge: Knowledge
) -> tuple[EvidenceWeights, OverTimeEntry]:
    """How beliefs go over time, if that tells the truth as well as single frames do.

    What is compared with single frames are the beliefs of each sequence with what fits the others
    best, by log loss. A single sequence is judged by halves.

    Returns:
        the weights with what fits all sequences best, and the comparison.
    """
    truth, parts = stored.frames.truth, stored.frames.slices()
    if len(parts) == 1:
        middle = len(truth) // 2
        parts = [slice(0, middle), slice(middle, len(truth))]
    tried = [
        replace(knowledge.weights, correlation_s=correlation_s, smoothing_s=smoothing_s)
        for correlation_s, smoothing_s in _TIMES
    ]
    beliefs = [replay(stored, replace(knowledge, weights=each)).beliefs for each in tried]
    losses = np.array([[log_loss(each[part], truth[part]) for part in parts] for each in beliefs])
    held_out = np.empty_like(beliefs[0])
    for number, part in enumerate(parts):
        by_others = losses.sum(axis=1) - losses[:, number]
        held_out[part] = beliefs[int(by_others.argmin())][part]
    best = int(losses.sum(axis=1).argmin())
    entry = _compared(held_out, beliefs[0], truth)
    entry = entry.model_copy(update={"used": entry.used and best > 0})
    return tried[best if entry.used else 0], entry


def _compared(
    beliefs: NDArray[np.float32], alone: NDArray[np.float32], truth: NDArray[np.int8]
) -> OverTimeEntry:
    """Beliefs over time beside those of single frames."""
    known = max(1, int((truth >= 0).sum()))
    loss, loss_alone = (log_loss(each, truth) / known for each in (beliefs, alone))
    ap, ap_alone = (mean_average_precision(each, truth) for each in (beliefs, alone))
    return OverTimeEntry(
        used=loss <= loss_alone and not ap < ap_alone - SAME_AP,
        log_loss=round(loss, 5),
        log_loss_alone=round(loss_alone, 5),
        mean_ap=None if math.isnan(ap) else round(ap, 5),
        mean_ap_alone=None if math.isnan(ap_alone) else round(ap_alone, 5),
    )


def choose_thresholds(
    stored: StoredScores, knowledge: Knowledge, labels: NDArray[np.int64]
) -> Thresholds:
    """The thresholds of some labels; those of the others stay as the knowledge has them.

    ``cover`` is one for all of these labels, so that the last adapter that runs covers as much per
    cost for one as for another: the highest at which the beliefs fit the truth as well as at any
    other, up to ``TOLERATED``. So an adapter runs where it makes a difference to what is believed.
    ``on`` has the best F1 of each label's active frames.

    Args:
        stored: scores of the validation frames.
        knowledge: with thresholds to begin with.
        labels: indices of the labels.
    """
    truth = stored.frames.truth[:, labels]

    def beliefs(cover: float) -> NDArray[np.float32]:
        return replay(stored, _with_cover_threshold(knowledge, labels, cover)).beliefs[:, labels]

    losses = np.array([log_loss(beliefs(cover), truth) for cover in _COVER_THRESHOLDS.tolist()])
    cover = float(_COVER_THRESHOLDS[losses <= (1.0 + TOLERATED) * losses.min()].max())
    chosen = _with_cover_threshold(knowledge, labels, cover).thresholds
    on, off = chosen.on.copy(), chosen.off.copy()
    on[labels], off[labels] = on_off(beliefs(cover), truth, stored.frames.slices())
    return replace(chosen, on=on, off=off)


def log_loss(beliefs: NDArray[np.float32], truth: NDArray[np.int8]) -> float:
    """Sum of the log losses of all known entries of the truth, nats."""
    said = np.where(truth == 1, beliefs, 1.0 - beliefs)[truth >= 0].astype(np.float64)
    return float(-np.log(np.maximum(said, 1e-6)).sum())


def on_off(
    beliefs: NDArray[np.float32], truth: NDArray[np.int8], parts: Sequence[slice]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Per label the thresholds whose active frames, held from on to off, have the best F1.

    Args:
        beliefs: (frames, labels), the engine's scores.
        truth: (frames, labels), -1 unknown.
        parts: each sequence's frames.

    Returns:
        on and off, each (labels,); on is 0.5 for a label without examples.
    """
    offs = off_below(_ONS)
    held = [held_active(beliefs[part, :, None], _ONS, offs) for part in parts]
    on = _best_f1(np.concatenate(held), truth)
    return on, off_below(on)


def on_alone(scores: NDArray[np.float32], truth: NDArray[np.int8]) -> NDArray[np.float64]:
    """As `on_off`, for scores of which each frame is judged by itself."""
    return _best_f1(scores[:, :, None] >= _ONS, truth)


def _best_f1(called: NDArray[np.bool_], truth: NDArray[np.int8]) -> NDArray[np.float64]:
    """Per label the best of the on-thresholds that ``called`` (frames, labels, ons) goes by."""
    on = np.full(truth.shape[1], 0.5)
    for label in range(truth.shape[1]):
        known = truth[:, label] >= 0
        present = truth[known, label] == 1
        if not present.any():
            continue
        said = called[known, label]
        hits = (said & present[:, None]).sum(axis=0)
        f1 = 2.0 * hits / (said.sum(axis=0) + present.sum())
        # The middle of the best stretch stands more firmly than its edge.
        on[label] = np.median(_ONS[f1 >= f1.max() - 0.005])
    return on


def _with_cover_threshold(
    knowledge: Knowledge, labels: NDArray[np.int64], cover: float
) -> Knowledge:
    values = knowledge.thresholds.cover.copy()
    values[labels] = cover
    return replace(knowledge, thresholds=replace(knowledge.thresholds, cover=values))
