"""Small labelled video in memory: noise pictures and truth, as readers give it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.dataset import Dataset, Fault, LabelledSequence
from polymorph_ros.data.track import Track
from polymorph_ros.data.vocabulary import Vocabulary

SIZE = (40, 48)


@dataclass(frozen=True)
class Noise:
    """Pictures of noise; those of ``unreadable`` places are faults."""

    frames: int
    seed: int
    unreadable: tuple[int, ...] = ()

    def read(self) -> Iterator[NDArray[np.uint8] | Fault]:
        rng = np.random.default_rng(self.seed)
        for index in range(self.frames):
            picture = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
            lost = index in self.unreadable
            yield Fault(f"frame {index}", "not a picture") if lost else picture


def noise_dataset(
    labels: Sequence[str],
    *,
    sequences: int = 3,
    frames: int = 40,
    hz: float = 10.0,
    unreadable: tuple[int, ...] = (),
) -> Dataset:
    """Sequences of noise with random truth in runs of ten frames; 5 % of it unknown."""
    rng = np.random.default_rng(0)
    made = []
    for index in range(sequences):
        runs = rng.random((frames // 10 + 1, len(labels))) < 0.4
        truth = np.repeat(runs, 10, axis=0)[:frames].astype(np.int8)
        truth[rng.random(truth.shape) < 0.05] = -1
        track = Track(truth, 5.0 + np.arange(frames) / hz, f"noise/{index}")
        made.append(LabelledSequence(track, Noise(frames, index, unreadable)))
    return Dataset(Vocabulary(tuple(labels)), tuple(made))
