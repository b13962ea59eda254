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

from polymorph_ros.bundle.manifest import SCENE_FILE, SceneEntry
from polymorph_ros.model.scene import SceneStatistics, pooled
from polymorph_ros.training.features import load_tokens
from polymorph_ros.training.frames import load_frames
from polymorph_ros.training.loop import set_up_torch
from polymorph_ros.training.stages import Kept
from polymorph_ros.training.token_set import TokenFiles

FALSE_ALARMS = 0.01
_ENTRY_FILE = "entry.json"
_BATCH = 512


@dataclass(frozen=True)
class SceneStage:
    """Statistics of the training frames as they are; a threshold that few known frames exceed."""

    train: TokenFiles
    validation: TokenFiles
    false_alarms: float
    threads: int

    @property
    def name(self) -> str:
        return "scene"

    def write(self, folder: Path) -> None:
        """Write the statistics' file and the manifest's entry."""
        set_up_torch(self.threads)
        statistics, entry = learn_scene(
            _plain(self.train), _plain(self.validation), false_alarms=self.false_alarms
        )
        save_file(statistics.tensors(), folder / SCENE_FILE)
        (folder / _ENTRY_FILE).write_text(entry.model_dump_json() + "\n", encoding="utf-8")


def load_scene_entry(kept: Kept) -> SceneEntry:
    """The manifest's entry; the statistics' file lies beside it."""
    return SceneEntry.model_validate_json((kept.folder / _ENTRY_FILE).read_bytes())


def _plain(files: TokenFiles) -> NDArray[np.float16]:
    """The tokens of the frames as they are, without those of changed views."""
    return load_tokens(files.tokens.folder)[: len(load_frames(files.frames.folder))]


def learn_scene(
    train: NDArray[np.float16],
    validation: NDArray[np.float16],
    *,
    false_alarms: float = FALSE_ALARMS,
) -> tuple[SceneStatistics, SceneEntry]:
    """Mean and whitening of the pooled features, and the distance that few known frames exceed.

    The covariance is shrunk (Ledoit and Wolf 2004), so that it can be inverted from few frames
    and for long tokens. The threshold is the larger of the two at which `false_alarms` of the
    training and of the validation frames lie above it: neither set of places is large.

    Args:
        train: tokens (frames, N, D).
        validation: the same of frames that nothing was trained on.
        false_alarms: share of known frames that may be called unknown.
    """
    features = _pooled(train)
    fit = LedoitWolf().fit(features)
    variances, directions = np.linalg.eigh(fit.covariance_)
    whitening = (directions / np.sqrt(variances)).T
    statistics = SceneStatistics(
        torch.from_numpy(fit.location_.astype(np.float32)),
        torch.from_numpy(np.ascontiguousarray(whitening, dtype=np.float32)),
    )
    threshold = max(
        float(np.quantile(scene_distances(statistics, tokens), 1.0 - false_alarms))
        for tokens in (train, validation)
    )
    return statistics, SceneEntry(threshold=threshold, false_alarms=false_alarms)


def scene_distances(
    statistics: SceneStatistics, tokens: NDArray[np.float16]
) -> NDArray[np.float32]:
    """The distance of each frame, (frames,)."""
    return np.concatenate([statistics.distance(batch).numpy() for batch in _batches(tokens)])


def _pooled(tokens: NDArray[np.float16]) -> NDArray[np.float64]:
    features = torch.cat([pooled(batch) for batch in _batches(tokens)])
    return features.double().numpy()


def _batches(tokens: NDArray[np.float16]) -> Iterator[torch.Tensor]:
    for first in range(0, len(tokens), _BATCH):
        yield torch.from_numpy(tokens[first : first + _BATCH].astype(np.float32))
