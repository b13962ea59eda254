"""Labelled pictures of recordings, whole or broken off, with a table or a truth topic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from shlex import quote

import numpy as np

from polymorph_ros.arrays import NS_PER_S, Image
from polymorph_ros.data.bag_files import (
    bag_name,
    file_kind,
    inner_name,
    is_bag,
    read_metadata,
    storage_files,
)
from polymorph_ros.data.bag_salvage import SalvagedMcap
from polymorph_ros.data.bag_storages import StoredMessage
from polymorph_ros.data.bags import TRUTH_TOPIC, Bag, open_bag, read_clock, truth_of
from polymorph_ros.data.clock import Clock
from polymorph_ros.data.dataset import Dataset, Fault, LabelledSequence
from polymorph_ros.data.image_stream import ImageStream
from polymorph_ros.data.joining import JoinedPictures, Moment, placed
from polymorph_ros.data.pixels import image_of
from polymorph_ros.data.track import Track
from polymorph_ros.data.union import union
from polymorph_ros.data.vocabulary import Vocabulary
from polymorph_ros.errors import PolymorphError


@dataclass(frozen=True)
class BagTopic:
    """The pictures of one image topic.

    Attributes:
        path: the recording's folder or file.
        name: the sequence's name.
        topic: of the pictures.
        bag: what of it can be read.
        clock: which time each picture has.
        remarks: what decoding its pictures brought, see ``ImageStream``.
    """

    path: Path
    name: str
    topic: str
    bag: Bag = field(repr=False)
    clock: Clock = field(repr=False)
    remarks: Counter[str] = field(default_factory=Counter, repr=False, compare=False)

    @property
    def frame_id(self) -> str:
        """Of the first picture's header; empty if none can be read."""
        try:
            for stored in self.bag.messages(self.topic):
                return str(stored.read().header.frame_id)
        except PolymorphError:
            pass  # reading the pictures says so too
        return ""

    def moments(self) -> Iterator[Moment]:
        """Its pictures by ascending time; a malformed one is a fault.

        Raises:
            PolymorphError: it cannot be read on.
        """
        stream = ImageStream(remarks=self.remarks)
        for time_ns, stored in self.clock.arrange(self.bag.messages(self.topic)):
            stamp_s = time_ns / NS_PER_S
            yield Moment(stamp_s, partial(self._decoded, stored, stamp_s, stream), time_ns)

    def _decoded(self, stored: StoredMessage, stamp_s: float, stream: ImageStream) -> Image | Fault:
        where = f"{self.path}, {self.topic} at {stamp_s:.9f} s"
        try:
            return image_of(stored.read(), stream)
        except PolymorphError as error:
            return Fault.of(error, where)


def find_bags(
    path: Path, topic: str | None, *, quick: bool = False
) -> tuple[list[BagTopic], list[Fault]]:
    """A bag, or all in a folder and below, and what is wrong with them.

    A bag bears the name of its folder or file, below the given folder: ``trips/monday``.

    Args:
        path: of the bag or folder.
        topic: of the pictures.
        quick: see ``read_clock``.

    Raises:
        PolymorphError: no bag can be used; the error is that of the first.
    """
    if is_bag(path):
        places = {path: bag_name(path)}
    else:
        places = {}
        for place in sorted(path.rglob("*")):
            if is_bag(place) and place.parent not in places:
                places[place] = bag_name(place, path)
    bags: list[BagTopic] = []
    faults: list[Fault] = []
    errors: list[PolymorphError] = []
    for place, name in places.items():
        try:
            bag, lost = _open_topic(place, name, topic, quick)
        except PolymorphError as error:
            errors.append(error)
            faults.append(Fault.of(error, str(place)))
        else:
            bags.append(bag)
            faults += lost
    if errors and not bags:
        raise errors[0]
    return bags, faults


def _open_topic(
    place: Path, name: str, topic: str | None, quick: bool
) -> tuple[BagTopic, list[Fault]]:
    """A recording's images, and what is lost of them."""
    bag = open_bag(place, salvage=True)
    chosen = bag.choose_topic(topic)
    try:
        clock = read_clock(bag, chosen.name, quick=quick)
    except PolymorphError:
        bag = _salvaged(bag)
        clock = read_clock(bag, chosen.name)
    faults = [
        Fault(str(journal), f"not read; sqlite3 {quote(str(file))} vacuum saves its messages")
        for file in storage_files(place)
        for journal in (file.with_name(f"{file.name}-{kind}") for kind in ("wal", "journal"))
        if journal.exists() and journal.stat().st_size
    ]
    lost = _lost(bag, chosen.name, len(clock.times_ns))
    if lost:
        faults.append(Fault(str(place), lost))
    return BagTopic(place, name, chosen.name, bag, clock), faults


def _salvaged(bag: Bag) -> Bag:
    """The same recording, whose MCAP files are read past their damage."""
    storages = tuple(
        SalvagedMcap(storage.path) if file_kind(storage.path) == ".mcap" else storage
        for storage in bag.storages
    )
    return replace(bag, storages=storages)


def _lost(bag: Bag, topic: str, found: int) -> str:
    """What is missing of the pictures of a topic; empty if nothing is known to be."""
    metadata = read_metadata(bag.path)
    recorded = metadata.counts.get(topic)
    salvaged = [one for one in bag.storages if isinstance(one, SalvagedMcap)]
    broke_off = any(not one.has_end() for one in salvaged)
    damage = "the recording breaks off" if broke_off else "the recording is damaged"
    if recorded is not None and recorded > found:
        there = {inner_name(file.name) for file in storage_files(bag.path)}
        if not salvaged:
            gone = sorted(name for name in metadata.files if name not in there)
            damage = f"{', '.join(gone)} is missing" if gone else "they are not in its files"
        return f"{damage}: {recorded - found} of {recorded} pictures are lost"
    if broke_off and recorded is None:
        known = "metadata.yaml would say of how many"
        return f"{damage} after {found} whole pictures; {known}"
    return ""


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
    where = f"{bag.path}, topic {TRUTH_TOPIC}"
    try:
        for stored in bag.bag.messages(TRUTH_TOPIC):
            try:
                stamp_ns, values = truth_of(stored, where)
                truth[stamp_ns] = values
            except PolymorphError as error:
                faults.append(Fault.of(error))
    except PolymorphError as error:  # it cannot be read on
        faults.append(Fault.of(error))
    return truth, faults


def _dataset_of(bag: BagTopic, truth: dict[int, dict[str, int]], tolerance_s: float) -> Dataset:
    names = dict.fromkeys(name for values in truth.values() for name in values)
    vocabulary = Vocabulary(tuple(names))
    stamps_ns = sorted(truth)
    stamps_s, assumed = placed(bag, np.array(stamps_ns) / NS_PER_S, tolerance_s)
    order = np.argsort(stamps_s, kind="stable")
    table = np.full((len(truth), len(vocabulary)), -1, dtype=np.int8)
    for row, place in enumerate(order.tolist()):
        for label, value in truth[stamps_ns[place]].items():
            table[row, vocabulary.id_of(label)] = value
    stamps_s = stamps_s[order]
    wheres = tuple(
        f"{bag.path}, {TRUTH_TOPIC} at {stamps_ns[place] / NS_PER_S:.9f} s" for place in order
    )
    pictures = JoinedPictures(bag, stamps_s, wheres, tolerance_s)
    track = Track(table, stamps_s, bag.name)
    sequence = LabelledSequence(track, pictures, bag.frame_id, bag.clock)
    return Dataset(vocabulary, (sequence,), assumptions=assumed)
