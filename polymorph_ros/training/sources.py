"""Which stages write the frames of each part: scenes are rendered, recordings decoded, or both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.data.dataset import Dataset, Fault
from polymorph_ros.data.open_dataset import open_dataset
from polymorph_ros.data.synthetic import SYNTHETIC_LABELS
from polymorph_ros.data.union import union, with_absent
from polymorph_ros.errors import PolymorphError
from polymorph_ros.training.config import DataConfig, SourceConfig, SyntheticConfig, TrainConfig
from polymorph_ros.training.splits import (
    Sequences,
    split_by_sequences,
    split_by_time,
    split_in_blocks,
)
from polymorph_ros.training.stages.decoding import DecodingStage, content_of, with_labels
from polymorph_ros.training.stages.mixed import MixedStage
from polymorph_ros.training.stages.synthetic import Part, SyntheticStage

FrameStage = SyntheticStage | DecodingStage | MixedStage


@dataclass(frozen=True)
class SourceNotes:
    """How labelled video was read where it leaves that open.

    Attributes:
        assumptions: what the readers took for granted: units of stamps, separators, clocks.
        clocks: of each sequence out of a recording its name, and which time its pictures have.
    """

    assumptions: tuple[str, ...] = ()
    clocks: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, dataset: Dataset) -> SourceNotes:
        """Those of a data set."""
        clocks = [(one.track.name, str(one.clock)) for one in dataset.sequences if one.clock]
        return cls(dataset.assumptions, tuple(clocks))


@dataclass(frozen=True)
class FrameStages:
    """The stages that write labelled frames, all over one vocabulary.

    Attributes:
        train, validation, test: the stages; without a test part, nothing is measured at the end.
        faults: labels, rows and files that were left out, and why.
        notes: how the sources were read.
    """

    train: FrameStage
    validation: FrameStage
    test: FrameStage | None
    faults: tuple[Fault, ...] = ()
    notes: SourceNotes = SourceNotes()

    def narrowed(self, vocabulary: tuple[str, ...]) -> FrameStages:
        """The same with the labels that the training frames turned out to teach."""

        def over(stage: FrameStage) -> FrameStage:
            if isinstance(stage, MixedStage):
                return replace(stage, vocabulary=vocabulary)
            return with_labels(stage, vocabulary) if isinstance(stage, DecodingStage) else stage

        return replace(
            self, validation=over(self.validation), test=over(self.test) if self.test else None
        )


def frame_stages(config: TrainConfig, preprocessing: Preprocessing) -> FrameStages:
    """The stages for a configuration's frames.

    Raises:
        PolymorphError: a source cannot be read, or too little can be used of all of them.
    """
    if config.data is None:
        assert config.synthetic is not None, "the configuration was checked"
        return FrameStages(*_scenes(config.synthetic, config.seed))
    if config.synthetic is None:
        return decoding_stages(config.data, preprocessing, config.seed)
    return _mixed_stages(config.synthetic, config.data, preprocessing, config.seed)


def _scenes(
    synthetic: SyntheticConfig, seed: int
) -> tuple[SyntheticStage, SyntheticStage, SyntheticStage]:
    train, validation, test = (SyntheticStage(synthetic, part, seed) for part in get_args(Part))
    return train, validation, test


def _mixed_stages(
    synthetic: SyntheticConfig, data: DataConfig, preprocessing: Preprocessing, seed: int
) -> FrameStages:
    """Scenes and video together; rare labels are left out when both are there."""
    video = decoding_stages(data.model_copy(update={"fewest_examples": 0}), preprocessing, seed)
    vocabulary = tuple(dict.fromkeys((*SYNTHETIC_LABELS, *video.train.vocabulary)))
    fewest = {"train": data.fewest_examples}
    scenes = _scenes(synthetic, seed)
    train, validation, test = (
        MixedStage(drawn, decoded, preprocessing, vocabulary, fewest.get(drawn.part, 0))
        for drawn, decoded in zip(scenes, (video.train, video.validation, video.test), strict=True)
        if not isinstance(decoded, SyntheticStage | MixedStage)
    )
    return replace(video, train=train, validation=validation, test=test)


def decoding_stages(config: DataConfig, preprocessing: Preprocessing, seed: int) -> FrameStages:
    """The stages for the frames of labelled video."""
    parts, dataset = _parts(config, seed)
    vocabulary = dataset.vocabulary.names
    stages = {}
    for part, sequences in parts.items():
        full = tuple(sequence for sequence in sequences if len(sequence))
        fewest = config.fewest_examples if part == "train" else 0
        if full:
            stages[part] = DecodingStage(
                part, preprocessing, vocabulary, fewest, content_of(full), full
            )
    for part in ("train", "validation"):
        if part not in stages:
            raise PolymorphError(
                f"frames for the {part} part", "none", where="data",
                remedy="add a source, or lower the shares of the other parts",
            )  # fmt: skip
    empty = [
        Fault(f"sequence {sequence.track.name}", "it has no frame")
        for sequence in dataset.sequences
        if not len(sequence)
    ]
    return FrameStages(
        stages["train"],
        stages["validation"],
        stages.get("test"),
        (*dataset.faults, *empty),
        SourceNotes.of(dataset),
    )


def _parts(config: DataConfig, seed: int) -> tuple[dict[str, Sequences], Dataset]:
    """Every sequence's part, and all of them as one data set."""
    opened = [with_absent(_open(source), source.absent) for source in config.sources]
    dataset = union(opened)
    fixed = [
        source.part
        for source, part in zip(config.sources, opened, strict=True)
        for _ in part.sequences
    ]

    def of(part: str | None) -> Sequences:
        pairs = zip(dataset.sequences, fixed, strict=True)
        return tuple(sequence for sequence, wanted in pairs if wanted == part)

    free, train, validation, test = of(None), of("train"), of("validation"), of("test")
    rng = np.random.default_rng(seed)
    if not test and config.test > 0 and free:
        free, test = _split(config, free, config.test, rng)
    train = (*train, *free)
    if not validation and train:
        train, validation = _split(config, train, config.validation, rng)
    return {"train": train, "validation": validation, "test": test}, dataset


def _open(source: SourceConfig) -> Dataset:
    return open_dataset(
        source.path,
        labels=source.labels,
        topic=source.topic,
        tolerance_s=source.tolerance_s,
        fps=source.fps,
        separator=source.separator,
    )


def _split(
    config: DataConfig, sequences: Sequences, share: float, rng: np.random.Generator
) -> tuple[Sequences, Sequences]:
    if config.split == "sequences":
        rest, taken = split_by_sequences(sequences, share, rng)
        if taken:
            return rest, taken
    if config.split == "blocks":
        return split_in_blocks(sequences, share)
    return split_by_time(sequences, share)
