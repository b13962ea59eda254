"""Stage: decode labelled video once, shrunk to the backbone's input."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path

import numpy as np

from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.data.dataset import Fault, LabelledSequence
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import write_json
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.progress import progress_bar
from polymorph_ros.training.cost import Rates, StageCost
from polymorph_ros.training.frames import About, frame_rows, frames_cost, in_vocabulary, save_about
from polymorph_ros.training.rows import Row, RowWriter

_FAULTS_FILE = "faults.json"
JUDGED = "judged"
"""The array with the truth of all labels, rare ones too."""


@dataclass(frozen=True)
class DecodingStage:
    """Frames of the sequences of one part.

    Attributes:
        vocabulary: the labels of the sequences' truth.
        fewest: a label that fewer frames show is left out of what is written.
        content: a hash of truth and stamps, and of the files' names, sizes and times.
        sequences: over ``vocabulary``.
    """

    part: str
    preprocessing: Preprocessing
    vocabulary: tuple[str, ...]
    fewest: int
    content: str
    sequences: tuple[LabelledSequence, ...] = field(metadata={"decides": False})

    @property
    def name(self) -> str:
        """The stage of its part."""
        return f"frames-{self.part}"

    @property
    def frame_count(self) -> int:
        """How many frames there are, if all can be read."""
        return sum(len(sequence) for sequence in self.sequences)

    def cost(self, rates: Rates) -> StageCost:
        """Frames to decode and write."""
        return frames_cost(self.rows(), self.frame_count)

    def rows(self) -> dict[str, Row]:
        """The arrays that are written row by row."""
        return judged_rows(self.preprocessing.size, len(self.vocabulary))

    def write(self, folder: Path) -> None:
        """Decode, after the sequences that an earlier attempt decoded.

        A picture that cannot be read is left out and named in ``About.faults``.

        Raises:
            PolymorphError: no label is shown by enough frames.
        """
        preprocessor = Preprocessor(self.preprocessing, "cpu")
        with RowWriter(folder, self.rows()) as writer, progress_bar() as bars:
            start = _cut_unfinished(writer)
            log = folder / _FAULTS_FILE
            entries = json.loads(log.read_text(encoding="utf-8")) if log.is_file() else []
            entries = [entry for entry in entries if entry[0] < start]
            done = sum(len(sequence) for sequence in self.sequences[:start])
            task = bars.add_task(
                f"decode {self.part}", total=self.frame_count, completed=done, note=""
            )
            for index, sequence in enumerate(self.sequences[start:], start):
                faults = list(self._decode(index, preprocessor, writer))
                if faults:
                    entries += [(index, fault.where, fault.reason) for fault in faults]
                    write_json(log, entries)
                bars.update(task, advance=len(sequence))
        unread = [Fault(where, reason) for _, where, reason in entries]
        save_truth(folder, self.vocabulary, self.fewest, unread, self.part)
        log.unlink(missing_ok=True)

    def _decode(self, index: int, preprocessor: Preprocessor, writer: RowWriter) -> Iterator[Fault]:
        sequence = self.sequences[index]
        track = sequence.track
        before = writer.rows
        read = 0
        # A recording that breaks off gives fewer pictures than were promised.
        for truth, stamp_s, picture in zip(
            track.truth, track.stamps_s, sequence.pictures.read(), strict=False
        ):
            read += 1
            if isinstance(picture, Fault):
                yield picture
                continue
            writer.append(
                images=preprocessor.shrunk(picture)[None],
                judged=truth[None],
                sequence=np.array([index]),
                stamps_s=np.array([stamp_s]),
            )
        if read < len(sequence):
            yield Fault(f"sequence {track.name}", f"{len(sequence) - read} pictures are missing")
        if writer.rows == before:
            yield Fault(f"sequence {track.name}", "no picture of it can be used")


def judged_rows(side: int, labels: int) -> dict[str, Row]:
    """The arrays of square frames whose truth ``save_truth`` takes of what was judged."""
    rows = frame_rows(side, side, labels)
    rows[JUDGED] = rows.pop("truth")
    return rows


def save_truth(
    folder: Path, vocabulary: tuple[str, ...], fewest: int, faults: list[Fault], part: str
) -> None:
    """Of what was judged, leave the labels that enough of the readable frames show.

    Raises:
        PolymorphError: there is none.
    """
    judged = np.load(folder / f"{JUDGED}.npy")
    counts = (judged == 1).sum(axis=0)
    shown = np.flatnonzero(counts >= fewest)
    if not len(shown):
        raise PolymorphError(
            f"a label that {fewest} frames show", "none", where=f"{part} data",
            remedy="label more frames",
        )  # fmt: skip
    rare = [
        Fault(f"label {vocabulary[label]}", f"frames that show it: {counts[label]}")
        for label in np.flatnonzero(counts < fewest)
    ]
    np.save(folder / "truth.npy", judged[:, shown])
    save_about(folder, About(tuple(vocabulary[label] for label in shown), (*faults, *rare)))
    (folder / f"{JUDGED}.npy").unlink()


def with_labels(stage: DecodingStage, vocabulary: tuple[str, ...]) -> DecodingStage:
    """The same frames with the truth of these labels; unknown where the stage has none of it."""
    sequences = []
    for sequence in stage.sequences:
        truth = in_vocabulary(sequence.track.truth, stage.vocabulary, vocabulary)
        sequences.append(replace(sequence, track=replace(sequence.track, truth=truth)))
    return replace(
        stage, vocabulary=vocabulary, content=content_of(sequences), sequences=tuple(sequences)
    )


def content_of(sequences: Sequence[LabelledSequence]) -> str:
    """A hash that changes when truth, stamps or files of sequences change."""
    digest = hashlib.sha256()
    for sequence in sequences:
        track = sequence.track
        digest.update(track.name.encode() + track.truth.tobytes() + track.stamps_s.tobytes())
        digest.update(repr(sequence.pictures).encode())
        for path in _files(sequence.pictures):
            there = path.stat() if path.exists() else None
            stamp = (there.st_size, there.st_mtime_ns) if there else None
            digest.update(f"{path} {stamp}".encode())
    return digest.hexdigest()


def _files(value: object) -> Iterator[Path]:
    """Every path that a source of pictures holds; the files inside where it is a folder."""
    if isinstance(value, Path):
        yield from sorted(value.rglob("*")) if value.is_dir() else [value]
    elif isinstance(value, tuple):
        for part in value:
            yield from _files(part)
    elif is_dataclass(value):
        for part in fields(value):
            yield from _files(getattr(value, part.name))


def _cut_unfinished(writer: RowWriter) -> int:
    """Drop the rows of the sequence that an earlier attempt broke off in; return its index."""
    written = writer.read("sequence")
    start = int(written[-1]) if len(written) else 0
    writer.cut(int(np.searchsorted(written, start)))
    return start
