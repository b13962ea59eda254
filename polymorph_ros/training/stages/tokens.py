"""Stage: the trunk's tokens of every frame, computed once and stored on disk.

The trunk is frozen, so scout and adapters never need to run it again: an adapter then costs
only its tails.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.progress import progress_bar
from polymorph_ros.training.artifacts import Artifact, Log, find, make
from polymorph_ros.training.augmentation import changed_view
from polymorph_ros.training.cost import Rates, StageCost
from polymorph_ros.training.frames import count_frames, load_frames
from polymorph_ros.training.loop import ON_CPU, set_up_torch
from polymorph_ros.training.rows import Row, RowWriter
from polymorph_ros.training.stages.backbone import weights_folder
from polymorph_ros.training.workers import Workers

_BATCH = 128
_AT_ONCE = 8  # pictures on a CPU, whose caches hold no more: EfficientNet-Lite0 with 128 takes 1.6x


@dataclass(frozen=True)
class TokensStage:
    """Tokens of all frames of a part, half precision; then those of changed views of them.

    Row ``view * frames + frame`` is a view of a frame; view 0 is the frame as it is. Where shards
    are given, they have been computed already (``make_tokens``).
    """

    backbone: Artifact
    frames: Artifact
    part: str
    preprocessing: Preprocessing
    tail_blocks: int
    augmentations: int
    seed: int
    threads: int
    device: str = field(default="cpu", metadata=ON_CPU)
    shards: tuple[Artifact, ...] = field(default=(), metadata={"decides": False})

    @property
    def name(self) -> str:
        """The stage of its part."""
        return f"tokens-{self.part}"

    def rows(self) -> int:
        """How many rows there will be."""
        return (self.augmentations + 1) * count_frames(self.frames)

    def cost(self, rates: Rates) -> StageCost:
        """A run of the trunk and a row of float16 for every view."""
        rows = self.rows()
        size = rows * np.dtype(np.float16).itemsize * int(np.prod(rates.token_shape))
        return StageCost(frames=rows, size=size, seconds=rows * rates.trunk_frame_s)

    def token_shape(self) -> tuple[int, ...]:
        """(N, D) of one row."""
        backbone = load_backbone(weights_folder(self.backbone))
        size = self.preprocessing.size
        with torch.inference_mode():
            return tuple(backbone.trunk(torch.zeros(1, 3, size, size), self.tail_blocks).shape[1:])

    def write(self, folder: Path) -> None:
        """Compute or collect, after the batches that an earlier attempt wrote."""
        self.write_rows(folder, 0, self.rows())

    def write_rows(self, folder: Path, first: int, last: int) -> None:
        """Write the rows from ``first``, a multiple of 128, to before ``last``."""
        row = {"tokens": Row(np.float16, self.token_shape())}
        with RowWriter(folder, row, whole=_BATCH) as writer, progress_bar() as bars:
            done = writer.rows
            task = bars.add_task("trunk tokens", total=last - first, completed=done, note="")
            rows = self._collect(first + done) if self.shards else self.compute(first + done, last)
            for tokens in rows:
                writer.append(tokens=tokens)
                bars.update(task, advance=len(tokens))

    def shared_out(self, parts: int) -> tuple[TokensShard, ...]:
        """About so many stages that compute all rows between them."""
        batches = -(-self.rows() // _BATCH)
        size = -(-batches // parts) * _BATCH
        starts = range(0, self.rows(), size)
        return tuple(TokensShard(self, s, min(s + size, self.rows())) for s in starts)

    def _collect(self, first: int) -> Iterator[NDArray[np.float16]]:
        for shard in self.shards:
            tokens = load_tokens(shard.folder)
            for start in range(min(first, len(tokens)), len(tokens), _BATCH):
                yield np.asarray(tokens[start : start + _BATCH])
            first = max(0, first - len(tokens))

    def compute(self, first: int, last: int) -> Iterator[NDArray[np.float16]]:
        """Tokens of the rows from ``first`` to before ``last``, in batches (n, N, D).

        The same to the bit however the rows are shared out, if ``first`` is a multiple of 128.
        """
        set_up_torch(self.threads, self.device)
        backbone = load_backbone(weights_folder(self.backbone)).to(self.device)
        preprocessor = Preprocessor(self.preprocessing, self.device)
        images = load_frames(self.frames.folder).images
        for start in range(first, last, _BATCH):
            rows = range(start, min(start + _BATCH, last))
            pictures = np.stack([self._picture(images, row) for row in rows])
            with torch.inference_mode():
                pixels = preprocessor.batch(pictures)
                parts = pixels.split(_AT_ONCE if pixels.is_cpu else _BATCH)
                tokens = torch.cat([backbone.trunk(part, self.tail_blocks) for part in parts])
            yield tokens.half().cpu().numpy()

    def _picture(self, images: NDArray[np.uint8], row: int) -> NDArray[np.uint8]:
        view, frame = divmod(row, len(images))
        if view == 0:
            return images[frame]
        return changed_view(images[frame], np.random.default_rng((self.seed, row)))


@dataclass(frozen=True)
class TokensShard:
    """Some rows of the tokens of a part, computed by themselves."""

    tokens: TokensStage
    first: int
    last: int

    @property
    def name(self) -> str:
        """Where it begins."""
        return f"{self.tokens.name}-from-{self.first}"

    def write(self, folder: Path) -> None:
        """Compute the rows, after those that an earlier attempt wrote."""
        self.tokens.write_rows(folder, self.first, self.last)


def make_tokens(stage: TokensStage, work: Path, workers: Workers, log: Log) -> Artifact:
    """The tokens of a part, computed in shards where there are several workers."""
    if workers.count == 1 or find(stage, work) is not None:
        return make(stage, work, log)
    shards = workers.run(stage.shared_out(workers.count), work, log)
    tokens = make(replace(stage, shards=shards), work, log)
    for shard in shards:  # the tokens hold them all: make room
        shutil.rmtree(shard.folder)
    return tokens


def load_tokens(folder: Path) -> NDArray[np.float16]:
    """Map the tokens of a folder that the stage wrote: (views * frames, N, D)."""
    tokens: NDArray[np.float16] = np.load(folder / "tokens.npy", mmap_mode="r")
    return tokens
