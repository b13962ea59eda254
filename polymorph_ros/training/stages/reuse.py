"""Stage: how much a picture may change before the labels that the engine finds in it do."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from polymorph_ros.arrays import Mask
from polymorph_ros.bundle.manifest import Manifest, Preprocessing, ReuseEntry
from polymorph_ros.files import write_json
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.model.thumbnail import thumbnails
from polymorph_ros.runtime.reuse import difference
from polymorph_ros.training.artifacts import Artifact
from polymorph_ros.training.cost import Rates, StageCost
from polymorph_ros.training.engine_replay import replay_engine
from polymorph_ros.training.frames import LabelledFrames, count_frames, load_frames, vocabulary_of
from polymorph_ros.training.loop import set_up_torch
from polymorph_ros.training.score_replay import AS_TRAINED, StoredModel, store_scores
from polymorph_ros.training.stages.bundle import BundleParts, assemble
from polymorph_ros.training.stages.thresholds import SAME_AP, load_tuned

AGREEMENTS = (0.98, 0.99, 0.995, 0.998)
"""What is tried until reuse costs no mean AP."""
MAX_AGE_S = 1.0
_FEWEST = 50  # pairs of frames that a threshold has to rest on
_STEP = 0.01  # grey levels: finer differences are rounding errors
_BATCH = 64
_FILE = "reuse.json"


@dataclass(frozen=True)
class ReuseStage:
    """When a result may be reused, by what the engine finds in the validation frames."""

    parts: BundleParts
    thresholds: Artifact
    threads: int
    name: ClassVar[str] = "reuse"

    def cost(self, rates: Rates) -> StageCost:
        """The engine on every validation frame."""
        frames = count_frames(self.parts.features.validation.frames)
        return StageCost(frames=frames, seconds=frames * rates.engine_frame_s)

    def write(self, folder: Path) -> None:
        """Run a draft of the bundle, and write the manifest's entry or null."""
        set_up_torch(self.threads, self.parts.features.device)
        frames = load_frames(self.parts.features.validation.frames.folder)
        draft = assemble(self.parts, load_tuned(self.thresholds), {}, folder / "draft")
        names = tuple(label.name for label in draft.manifest.labels)
        frames = frames.in_vocabulary(vocabulary_of(self.parts.features.train.frames), names)
        model = PolymorphModel.from_bundle(draft, self.parts.features.device)
        stored = StoredModel(
            model,
            {AS_TRAINED: store_scores(model, frames)},
            thumbnails_of(frames, draft.manifest.preprocessing),
        )
        entry = choose_reuse(stored, draft.manifest, frames)
        write_json(folder / _FILE, entry.model_dump() if entry else None)
        shutil.rmtree(draft.path)


def load_reuse(reuse: Artifact) -> ReuseEntry | None:
    """The manifest's entry, if pictures were similar enough to learn one."""
    document = json.loads((reuse.folder / _FILE).read_text(encoding="utf-8"))
    return ReuseEntry.model_validate(document) if document else None


def choose_reuse(
    stored: StoredModel, manifest: Manifest, frames: LabelledFrames
) -> ReuseEntry | None:
    """The least agreement at which reuse costs no mean AP on validation frames.

    Few recordings at a high rate may have most of the pairs, so that their agreement says little
    of the others: what decides is the engine's own accuracy with reuse.

    Args:
        stored: the model's scores of the frames.
        manifest: of a bundle without reuse.
        frames: validation sequences.

    Returns:
        none where pictures are seldom alike, or reuse costs mean AP at any agreement.
    """
    every = replay_engine(stored, manifest, frames)
    least = every.mean_ap(frames) - SAME_AP
    for agreement in AGREEMENTS:
        entry = learn_reuse(frames, every.active, manifest.preprocessing, agreement=agreement)
        if entry is None:
            return None
        reused = replay_engine(stored, manifest.model_copy(update={"reuse": entry}), frames)
        if not reused.mean_ap(frames) < least:
            return entry
    return None


def learn_reuse(
    frames: LabelledFrames,
    active: Mask,
    preprocessing: Preprocessing,
    *,
    agreement: float = AGREEMENTS[0],
    max_age_s: float = MAX_AGE_S,
) -> ReuseEntry | None:
    """The largest difference of pictures up to which their label sets agree.

    All pairs of frames of a sequence that are at most `max_age_s` apart are compared, each as
    if the later were reused from the earlier. Label sets agree to their Jaccard index:
    labels in both, per label in either.

    The pace is how fast true labels change meanwhile: their disagreement per second in the pairs
    that differ by no more than the threshold, as a share of that in all pairs. Unknown labels are
    left out.

    Args:
        frames: validation sequences.
        active: the labels that the engine calls active when it computes every frame, of shape
            (frames, labels).
        preprocessing: the bundle's.
        agreement: mean agreement of the pairs that differ by no more than the threshold.
        max_age_s: longest time over which a result will be reused.

    Returns:
        none where fewer than 50 pairs are that similar: nothing is then reused.
    """
    pairs = _pairs(frames, max_age_s)
    if len(pairs) < _FEWEST:
        return None
    first, second = pairs.T
    pictures = thumbnails_of(frames, preprocessing)
    exact = np.array([difference(pictures[one], pictures[other]) for one, other in pairs])
    differences = np.round(exact / _STEP) * _STEP
    threshold = _largest(differences, _jaccard(active[first], active[second]), agreement)
    if threshold is None:
        return None
    truth = np.asarray(frames.truth)
    known = (truth[first] >= 0) & (truth[second] >= 0)
    present = truth == 1
    changed = 1.0 - _jaccard(present[first] & known, present[second] & known)
    ages_s = frames.stamps_s[second] - frames.stamps_s[first]
    alike = differences <= threshold
    usual_hz = changed.sum() / ages_s.sum()
    meanwhile_hz = changed[alike].sum() / ages_s[alike].sum()
    return ReuseEntry(
        difference=round(threshold + _STEP / 2, 3),
        max_age_s=max_age_s,
        pace=min(1.0, float(meanwhile_hz / usual_hz)) if usual_hz > 0 else 1.0,
        agreement=agreement,
    )


def thumbnails_of(frames: LabelledFrames, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """What pictures are compared by, float32 (frames, rows, columns), grey levels of 255."""
    preprocessor = Preprocessor(preprocessing, "cpu")
    with torch.inference_mode():
        return np.concatenate(
            [
                thumbnails(
                    preprocessor.batch(np.asarray(frames.images[first : first + _BATCH])),
                    preprocessing.std,
                ).numpy()
                for first in range(0, len(frames), _BATCH)
            ]
        )


def _pairs(frames: LabelledFrames, max_age_s: float) -> NDArray[np.int64]:
    """Earlier and later frame of each pair that is near enough in time, (pairs, 2)."""
    pairs = []
    for part in frames.slices():
        stamps_s = frames.stamps_s[part]
        ends = np.searchsorted(stamps_s, stamps_s + max_age_s + 1e-6, side="right")
        for first, end in enumerate(ends.tolist()):
            later = np.arange(first + 1, end) + part.start
            pairs.append(np.stack([np.full_like(later, first + part.start), later], axis=1))
    return np.concatenate(pairs)


def _jaccard(one: Mask, other: Mask) -> NDArray[np.float64]:
    """Of each row; 1 where neither has any."""
    either = np.count_nonzero(one | other, axis=1)
    both = np.count_nonzero(one & other, axis=1)
    return np.where(either > 0, both / np.maximum(either, 1), 1.0)


def _largest(
    differences: NDArray[np.float64], agreements: NDArray[np.float64], wanted: float
) -> float | None:
    """The largest difference such that all pairs up to it agree that well on average."""
    order = np.argsort(differences)
    counts = np.arange(1, len(order) + 1)
    mean = np.cumsum(agreements[order]) / counts
    whole = np.append(np.diff(differences[order]) > 0, True)  # the last of those that are equal
    enough = np.flatnonzero(whole & (counts >= _FEWEST) & (mean >= wanted))
    return float(differences[order[enough[-1]]]) if len(enough) else None
