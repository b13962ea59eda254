"""Which stages write the frames of each part: scenes are rendered, recordings decoded."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.data.dataset import Dataset, Fault
from polymorph_ros.data.open_dataset import open_dataset
from polymorph_ros.data.union import union
from polymorph_ros.errors import PolymorphError
from polymorph_ros.training.config import DataConfig, SyntheticConfig, TrainConfig
from polymorph_ros.training.splits import (
    Sequences,
    split_by_sequences,
    split_by_time,
    split_in_blocks,
)
from polymorph_ros.training.stages.decoding import DecodingStage, content_of, with_labels
from polymorph_ros.training.stages.synthetic import SyntheticStage

FrameStage = SyntheticStage | DecodingStage


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
            return with_labels(stage, vocabulary) if isinstance(stage, DecodingStage) else stage

        return replace(
            self, validation=over(self.validation), test=over(self.test) if self.test else None
        )


def frame_stages(config: TrainConfig, preprocessing: Preprocessing) -> FrameStages:
    """The stages for a configuration's frames.

    Raises:
        PolymorphError: a source cannot be read, or too little can be used of all of them.
    """
    if config.synthetic is not None:
        return _synthetic_stages(config.synthetic, config.seed)
    assert config.data is not None, "the configuration was checked"
    return decoding_stages(config.data, preprocessing, config.seed)


def _synthetic_stages(synthetic: SyntheticConfig, seed: int) -> FrameStages:
    return FrameStages(
        SyntheticStage(synthetic, "train", seed),
        SyntheticStage(synthetic, "validation", seed),
        SyntheticStage(synthetic, "test", seed),
    )


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
    opened = [
        open_dataset(
            source.path,
            labels=source.labels,
            topic=source.topic,
            tolerance_s=source.tolerance_s,
            fps=source.fps,
            separator=source.separator,
        )
        for source in config.sources
    ]
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
