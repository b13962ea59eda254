"""Synthetic scenes over a real label trace, as a small backbone's trunk sees them, cached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from parts.trace_parts import most_frequent, split, windows
from parts.traced import traced_scenes
from parts.traces import Trace, read_trace
from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.data.track import Track
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.preprocess import Preprocessor

TAIL_BLOCKS = 2
PREPROCESSING = Preprocessing(size=64, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
_SHARES = (0.6, 0.15, 0.25)  # of sequences, for training, validation and test
_BATCH = 64


@dataclass(frozen=True)
class Part:
    """One part of the data.

    Attributes:
        tokens: the trunk's output, float16 (frames, N, D).
        truth: int8 (frames, labels).
        tracks: the truth of each stretch; together all frames, in order.
    """

    tokens: NDArray[np.float16]
    truth: NDArray[np.int8]
    tracks: tuple[Track, ...]

    def slices(self) -> list[slice]:
        """The rows of each stretch."""
        ends = np.cumsum([len(track.truth) for track in self.tracks]).tolist()
        return [slice(a, b) for a, b in zip([0, *ends], ends, strict=False)]


def traced_parts(
    path: Path, labels: int, stretches: int, backbone: Path, work: Path
) -> tuple[tuple[str, ...], dict[str, Part]]:
    """The vocabulary, and the parts ``train``, ``validation`` and ``test``.

    Args:
        path: the trace.
        labels: so many of its most frequent labels.
        stretches: of 6 frames to train on; a 50th and a 30th as many of 30 frames to validate
            and to test on.
        backbone: folder of the checkpoint.
        work: where tokens are kept.
    """
    trace = most_frequent(read_trace(path), labels)
    train, validation, test = split(trace, _SHARES)
    traces = {
        "train": windows(train, 6, stretches),
        "validation": windows(validation, 30, max(1, stretches // 50)),
        "test": windows(test, 30, max(1, stretches // 30)),
    }
    parts = {
        name: Part(_tokens(part, backbone, work / f"{name}.npy"), _truth(part), part.tracks)
        for name, part in traces.items()
    }
    return trace.vocabulary.names, parts


def _truth(trace: Trace) -> NDArray[np.int8]:
    return np.concatenate([track.truth for track in trace.tracks])


def _tokens(trace: Trace, backbone: Path, file: Path) -> NDArray[np.float16]:
    if not file.is_file():
        model, preprocessor = load_backbone(backbone), Preprocessor(PREPROCESSING, "cpu")
        out = []
        for sequence in traced_scenes(trace, size=(PREPROCESSING.size,) * 2).sequences:
            pictures = np.stack([p for p in sequence.pictures.read() if isinstance(p, np.ndarray)])
            for first in range(0, len(pictures), _BATCH):
                with torch.inference_mode():
                    pixels = preprocessor.batch(pictures[first : first + _BATCH])
                    out.append(model.trunk(pixels, TAIL_BLOCKS).half().numpy())
        np.save(file, np.concatenate(out))
    tokens: NDArray[np.float16] = np.load(file, mmap_mode="r")
    return tokens
