"""Stage: what known scenes look like to the trunk, and the distance from which one is unknown."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from sklearn.covariance import LedoitWolf

from polymorph_ros.bundle.manifest import UNKNOWN_SCENE_FILE, UnknownSceneEntry
from polymorph_ros.bundle.reader import read_bundle
from polymorph_ros.files import write_json
from polymorph_ros.model.tensor_file import read_tensors
from polymorph_ros.model.unknown_scene import FeatureStatistics, pooled
from polymorph_ros.runtime.unknown_scene import DistanceFilter
from polymorph_ros.training.artifacts import Artifact
from polymorph_ros.training.cost import Rates, StageCost
from polymorph_ros.training.frames import load_frames
from polymorph_ros.training.loop import set_up_torch
from polymorph_ros.training.stages.tokens import load_tokens
from polymorph_ros.training.token_set import Features, TokenFiles

FALSE_ALARMS = 0.01
_ENTRY_FILE = "entry.json"
_BATCH = 512


@dataclass(frozen=True)
class UnknownSceneStage:
    """Statistics of the training frames as they are; a threshold that few known frames exceed.

    Attributes:
        old: a bundle that is added to: its statistics, with a threshold that the new scenes seldom
            exceed either; nothing where it has none.
    """

    features: Features
    threads: int
    old: Artifact | None = None
    name: ClassVar[str] = "unknown_scene"

    def cost(self, rates: Rates) -> StageCost:
        """The statistics: a vector and a square matrix of float32."""
        width = rates.token_shape[1]
        return StageCost(size=4 * width * (width + 1))

    def write(self, folder: Path) -> None:
        """Write the statistics' file and the manifest's entry."""
        set_up_torch(self.threads)
        entry = self._learn(folder) if self.old is None else self._raise(self.old, folder)
        write_json(folder / _ENTRY_FILE, entry.model_dump() if entry else None)

    def _learn(self, folder: Path) -> UnknownSceneEntry:
        parts = (trunk_features(part) for part in (self.features.train, self.features.validation))
        statistics, entry = learn_unknown_scene(*parts)
        save_file(statistics.tensors(), folder / UNKNOWN_SCENE_FILE)
        return entry

    def _raise(self, old: Artifact, folder: Path) -> UnknownSceneEntry | None:
        entry = read_bundle(old.folder).manifest.unknown_scene
        if entry is None:
            return None
        file = Path(shutil.copy(old.folder / UNKNOWN_SCENE_FILE, folder))
        frames = trunk_features(self.features.validation)
        width = frames.tokens.shape[2]
        statistics = FeatureStatistics.from_tensors(read_tensors(file), width, file)
        threshold = max(entry.threshold, seldom_exceeded(statistics, frames, FALSE_ALARMS))
        return entry.model_copy(update={"threshold": threshold})


def load_unknown_scene_entry(unknown_scene: Artifact) -> UnknownSceneEntry | None:
    """The manifest's entry, if there is one; the statistics' file lies beside it."""
    text = (unknown_scene.folder / _ENTRY_FILE).read_text(encoding="utf-8")
    document = json.loads(text)
    return UnknownSceneEntry.model_validate(document) if document else None


@dataclass(frozen=True)
class TrunkFeatures:
    """Frames of places that count as known.

    Attributes:
        tokens: (frames, N, D).
        sequences: where each sequence begins and ends.
        stamps_s: (frames,), seconds, ascending within a sequence.
    """

    tokens: NDArray[np.float16]
    sequences: tuple[slice, ...]
    stamps_s: NDArray[np.float64]


def trunk_features(files: TokenFiles) -> TrunkFeatures:
    """The frames as they are, without their changed views."""
    frames = load_frames(files.frames.folder)
    tokens = load_tokens(files.tokens.folder)[: len(frames)]
    return TrunkFeatures(tokens, tuple(frames.slices()), frames.stamps_s)


def learn_unknown_scene(
    train: TrunkFeatures, validation: TrunkFeatures, *, false_alarms: float = FALSE_ALARMS
) -> tuple[FeatureStatistics, UnknownSceneEntry]:
    """Mean and whitening of the pooled features, and the distance that few known frames exceed.

    The covariance is shrunk (Ledoit and Wolf 2004), so that it can be inverted from few frames
    and for long tokens. The threshold is the larger of those of the training and of the
    validation frames: neither set of places is large.

    Args:
        train: what the statistics are of.
        validation: frames that nothing was trained on.
        false_alarms: share of known frames that may be called unknown.
    """
    fit = LedoitWolf().fit(_pooled(train.tokens))
    variances, directions = np.linalg.eigh(fit.covariance_)
    whitening = (directions / np.sqrt(variances)).T
    statistics = FeatureStatistics(
        torch.from_numpy(fit.location_.astype(np.float32)),
        torch.from_numpy(np.ascontiguousarray(whitening, dtype=np.float32)),
    )
    threshold = max(
        seldom_exceeded(statistics, frames, false_alarms) for frames in (train, validation)
    )
    return statistics, UnknownSceneEntry(threshold=threshold, false_alarms=false_alarms)


def seldom_exceeded(statistics: FeatureStatistics, frames: TrunkFeatures, share: float) -> float:
    """The distance that few known frames exceed, as the engine takes distances.

    At most `share` of all frames do, and at most `share` where each sequence counts alike: frames
    of a sequence resemble each other, so a few long ones would speak for hundreds of stills.
    """
    distances = feature_distances(statistics, frames)
    lengths = np.array([part.stop - part.start for part in frames.sequences])
    order = np.argsort(distances)
    alike = np.cumsum(np.repeat(1.0 / lengths, lengths)[order])
    by_sequence = distances[order][np.searchsorted(alike, (1.0 - share) * alike[-1])]
    return max(float(np.quantile(distances, 1.0 - share)), float(by_sequence))


def feature_distances(statistics: FeatureStatistics, frames: TrunkFeatures) -> NDArray[np.float64]:
    """The distance of each frame as the engine takes it, (frames,)."""
    alone = np.concatenate(
        [statistics.distance(batch).numpy() for batch in _batches(frames.tokens)]
    )
    taken = np.empty(len(alone))
    for part in frames.sequences:
        memory = DistanceFilter()
        stamps_ns = np.round(frames.stamps_s[part] * 1e9).astype(np.int64).tolist()
        taken[part] = [
            memory.take(stamp_ns, distance)
            for stamp_ns, distance in zip(stamps_ns, alone[part].tolist(), strict=True)
        ]
    return taken


def _pooled(tokens: NDArray[np.float16]) -> NDArray[np.float64]:
    features = torch.cat([pooled(batch) for batch in _batches(tokens)])
    return features.double().numpy()


def _batches(tokens: NDArray[np.float16]) -> Iterator[torch.Tensor]:
    for first in range(0, len(tokens), _BATCH):
        yield torch.from_numpy(tokens[first : first + _BATCH].astype(np.float32))
