"""Labelled pictures of rosbag2 recordings, whole or broken off, with a table or a truth topic."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from polymorph_ros.arrays import NS_PER_S
from polymorph_ros.data.bag_salvage import (
    STORAGES,
    recorded_count,
    salvage_image_topics,
    salvage_messages,
)
from polymorph_ros.data.bags import (
    TRUTH_TOPIC,
    ImageTopic,
    choose_image_topic,
    image_topics,
    messages,
    stamp_ns_of,
    truth_of,
)
from polymorph_ros.data.dataset import Dataset, Fault, LabelledSequence
from polymorph_ros.data.joining import Image, JoinedPictures, Moment
from polymorph_ros.data.pixels import ImageError, image_of
from polymorph_ros.data.track import Track
from polymorph_ros.data.union import union
from polymorph_ros.data.vocabulary import Vocabulary
from polymorph_ros.errors import PolymorphError


@dataclass(frozen=True)
class BagTopic:
    """The pictures of one image topic; stamps are those of the messages' headers, in seconds.

    Attributes:
        path: the bag's folder, or an .mcap or .db3 file.
        name: the sequence's name.
        topic: of the pictures.
        whole: False if it broke off, so that it has to be read from its beginning.
    """

    path: Path
    name: str
    topic: str
    whole: bool

    @property
    def frame_id(self) -> str:
        """Of the first picture's header; empty if none can be read."""
        try:
            for message in self.messages(self.topic):
                return str(message.header.frame_id)
        except PolymorphError:
            pass  # reading the pictures says so too
        return ""

    def moments(self) -> Iterator[Moment]:
        """Its pictures in the order of recording; a malformed one is a fault.

        Raises:
            PolymorphError: it cannot be read on.
        """
        for message in self.messages(self.topic):
            stamp_ns = stamp_ns_of(message)
            stamp_s = stamp_ns / NS_PER_S
            yield Moment(stamp_s, partial(self._decoded, message, stamp_s), stamp_ns)

    def messages(self, topic: str) -> Iterator[Any]:
        """The messages of a topic, as far as they are whole."""
        return messages(self.path, topic) if self.whole else salvage_messages(self.path, topic)

    def _decoded(self, message: Any, stamp_s: float) -> Image | Fault:
        try:
            return image_of(message)
        except ImageError as error:
            reason = f"expected {error.expected}, found {error.found}"
            return Fault(f"{self.path}, {self.topic} at {stamp_s:.9f} s", reason)


def is_bag(path: Path) -> bool:
    """Whether a path is one recording: a storage file, or a folder with metadata.yaml.

    A killed recorder leaves a folder without: then it is one with a single storage file, or with
    several that differ in the number at their end only.
    """
    if not path.is_dir():
        return path.suffix in STORAGES
    stems = [file.stem for file in _storage_files(path)]
    series = {re.sub(r"\d+$", "", stem) for stem in stems}
    return (path / "metadata.yaml").is_file() or len(series) == 1


def _storage_files(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.suffix in STORAGES and file.is_file()]


def find_bags(path: Path, topic: str | None) -> tuple[list[BagTopic], list[Fault]]:
    """A bag, or all in a folder and below, and what is wrong with them.

    A bag bears the name of its folder or file, below the given folder: ``trips/monday``.

    Raises:
        PolymorphError: no bag can be used; the error is that of the first.
    """
    if is_bag(path):
        places = {path: path.name if path.is_dir() else path.stem}
    else:
        places = {}
        for place in sorted(path.rglob("*")):
            if is_bag(place) and place.parent not in places:
                inner = place if place.is_dir() else place.with_suffix("")
                places[place] = inner.relative_to(path).as_posix()
    bags: list[BagTopic] = []
    faults: list[Fault] = []
    errors: list[PolymorphError] = []
    for place, name in places.items():
        try:
            bag, lost = _open_bag(place, name, topic)
        except PolymorphError as error:
            errors.append(error)
            faults.append(Fault.of(error))
        else:
            bags.append(bag)
            faults += lost
    if errors and not bags:
        raise errors[0]
    return bags, faults


def _open_bag(place: Path, name: str, topic: str | None) -> tuple[BagTopic, list[Fault]]:
    """The bag's images, and what is lost of them."""
    files = _storage_files(place) if place.is_dir() else [place]
    # of a recorder that died before it wrote metadata.yaml, a single file may be whole
    alone = len(files) == 1 and not (place / "metadata.yaml").exists()
    path = files[0] if alone else place
    faults = [
        Fault(str(journal), f"its messages are not read; 'sqlite3 {file.name} vacuum' saves them")
        for file in files
        if (journal := file.with_name(f"{file.name}-wal")).exists() and journal.stat().st_size
    ]
    try:
        topics = image_topics(path)
    except PolymorphError:
        topics = salvage_image_topics(place)
        if not topics:
            raise
        chosen = choose_image_topic(topics, topic, place)
        faults.append(Fault(str(place), _lost(place, chosen)))
        return BagTopic(place, name, chosen.name, False), faults
    return BagTopic(path, name, choose_image_topic(topics, topic, place).name, True), faults


def _lost(place: Path, topic: ImageTopic) -> str:
    recorded = recorded_count(place, topic.name)
    if recorded is None:
        known = "metadata.yaml would say of how many"
        return f"the recording breaks off after {topic.count} whole pictures; {known}"
    return f"the recording breaks off: {recorded - topic.count} of {recorded} pictures are lost"


def labelled_by_truth(bags: Sequence[BagTopic], tolerance_s: float) -> Dataset:
    """The data set of recordings that have a truth topic, see ``polymorph_ros.data.bags``.

    A label that a recording or a message does not name is unknown there.

    Raises:
        PolymorphError: no recording has usable truth.
    """
    sets: list[Dataset] = []
    faults: list[Fault] = []
    for bag in bags:
        truth, bad = _truth_of(bag)
        faults += bad
        if any(truth.values()):
            sets.append(_dataset_of(bag, truth, tolerance_s))
        else:
            faults.append(
                Fault(str(bag.path), f"no usable message on {TRUTH_TOPIC}, and no labels")
            )
    if not sets:
        raise PolymorphError(
            f"labels on the topic {TRUTH_TOPIC}, or a label CSV",
            "neither",
            where=", ".join(str(bag.path) for bag in bags),
            remedy="give a CSV with the columns sequence,stamp,labels",
        )
    together = union(sets)
    return replace(together, faults=(*together.faults, *faults))


def _truth_of(bag: BagTopic) -> tuple[dict[int, dict[str, int]], list[Fault]]:
    truth: dict[int, dict[str, int]] = {}
    faults: list[Fault] = []
    told = bag.messages(TRUTH_TOPIC)
    while True:
        try:
            stamp_ns, values = truth_of(next(told), f"{bag.path}, topic {TRUTH_TOPIC}")
            truth[stamp_ns] = values
        except StopIteration:
            return truth, faults
        except PolymorphError as error:
            faults.append(Fault.of(error))


def _dataset_of(bag: BagTopic, truth: dict[int, dict[str, int]], tolerance_s: float) -> Dataset:
    names = dict.fromkeys(name for values in truth.values() for name in values)
    vocabulary = Vocabulary(tuple(names))
    stamps_ns = sorted(truth)
    table = np.full((len(truth), len(vocabulary)), -1, dtype=np.int8)
    for row, stamp_ns in enumerate(stamps_ns):
        for label, value in truth[stamp_ns].items():
            table[row, vocabulary.id_of(label)] = value
    stamps_s = np.array(stamps_ns, dtype=np.float64) / NS_PER_S
    wheres = tuple(f"{bag.path}, {TRUTH_TOPIC} at {stamp_s:.9f} s" for stamp_s in stamps_s)
    pictures = JoinedPictures(bag, stamps_s, wheres, tolerance_s)
    sequence = LabelledSequence(Track(table, stamps_s, bag.name), pictures, bag.frame_id)
    return Dataset(vocabulary, (sequence,))
