"""Stage: what scenes look like to the trunk, and from which distance on one is unknown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from sklearn.covariance import LedoitWolf

from polymorph_ros.bundle.manifest import UNKNOWN_SCENE_FILE, UnknownSceneEntry
from polymorph_ros.model.unknown_scene import FeatureStatistics, pooled
from polymorph_ros.runtime.unknown_scene import DistanceFilter
from polymorph_ros.training.artifacts import Artifact
from polymorph_ros.training.frames import load_frames
from polymorph_ros.training.loop import set_up_torch
from polymorph_ros.training.stages.tokens import load_tokens
from polymorph_ros.training.token_set import TokenFiles

FALSE_ALARMS = 0.01
_ENTRY_FILE = "entry.json"
_BATCH = 512


@dataclass(frozen=True)
class UnknownSceneStage:
    """Statistics of the training frames as they are; a threshold that few known frames exceed."""

    train: TokenFiles
    validation: TokenFiles
    false_alarms: float
    threads: int

    @property
    def name(self) -> str:
        return "unknown_scene"

    def write(self, folder: Path) -> None:
        """Write the statistics' file and the manifest's entry."""
        set_up_torch(self.threads)
        statistics, entry = learn_unknown_scene(
            trunk_features(self.train),
            trunk_features(self.validation),
            false_alarms=self.false_alarms,
        )
        save_file(statistics.tensors(), folder / UNKNOWN_SCENE_FILE)
        (folder / _ENTRY_FILE).write_text(entry.model_dump_json() + "\n", encoding="utf-8")


def load_unknown_scene_entry(kept: Artifact) -> UnknownSceneEntry:
    """The manifest's entry; the statistics' file lies beside it."""
    return UnknownSceneEntry.model_validate_json((kept.folder / _ENTRY_FILE).read_bytes())


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
    and for long tokens. The threshold is the larger of the two at which `false_alarms` of the
    training and of the validation frames lie above it, as the engine takes distances (over the
    last frames): neither set of places is large.

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
        float(np.quantile(feature_distances(statistics, frames), 1.0 - false_alarms))
        for frames in (train, validation)
    )
    return statistics, UnknownSceneEntry(threshold=threshold, false_alarms=false_alarms)


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
