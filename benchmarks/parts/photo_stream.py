"""Synthetic rooms through which photos of groceries move: a stream with kinds of thing that no
bundle of drawn scenes knows, and its truth.

The rooms are drawn, the photos are real, and putting one into the other is synthetic.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from polymorph_ros.arrays import Image
from polymorph_ros.data.synthetic import SyntheticSequence, make_sequence
from polymorph_ros.errors import PolymorphError

MIN_SHARE = 0.4  # of a photo that must be in the picture for its kind to be there
_HEIGHTS = (0.5, 0.75)  # of the picture
_TILT = 0.12  # radians, at most


@dataclass(frozen=True)
class Crossing:
    """One photo's way across the picture, from one side to the other.

    Attributes:
        kind: what it shows.
        photo: uint8 RGB.
        start_s, duration_s: when, in seconds of the stream.
        to_right: the direction.
        height: of the photo, as a share of the picture's.
        middle: where its centre is, as a share of the picture's height from the top.
        tilt: at its start, radians; it turns as far to the other side.
    """

    kind: str
    photo: Image
    start_s: float
    duration_s: float
    to_right: bool
    height: float
    middle: float
    tilt: float

    def lay(self, picture: Image, at_s: float) -> float:
        """Draw the photo as it is at a second of the stream; the share of it that is seen."""
        done = (at_s - self.start_s) / self.duration_s
        if not 0.0 <= done <= 1.0:
            return 0.0
        rows, columns = picture.shape[:2]
        scale = self.height * rows / self.photo.shape[0]
        width = scale * self.photo.shape[1]
        along = done if self.to_right else 1.0 - done
        centre = np.array([along * (columns + width) - width / 2, self.middle * rows])
        return lay(self.photo, picture, centre, scale, self.tilt * (1.0 - 2.0 * done))


def lay(
    photo: Image, picture: Image, centre: NDArray[np.float64], scale: float, turn: float
) -> float:
    """Draw a photo into a picture; the share of it that is inside.

    Args:
        photo: uint8 RGB.
        picture: uint8 RGB, changed in place.
        centre: where the photo's centre goes, x and y in pixels.
        scale: of the photo's own size.
        turn: radians.
    """
    rows, columns = picture.shape[:2]
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    linear = np.array([[cos, -sin], [sin, cos]])
    offset = centre - linear @ np.array([photo.shape[1] / 2, photo.shape[0] / 2])
    matrix = np.column_stack([linear, offset])
    mask = cv2.warpAffine(np.full(photo.shape[:2], 255, np.uint8), matrix, (columns, rows))
    drawn = cv2.warpAffine(photo, matrix, (columns, rows), flags=cv2.INTER_AREA)
    picture[mask > 127] = drawn[mask > 127]
    return float((mask > 127).sum()) / (scale * scale * photo.shape[0] * photo.shape[1])


@dataclass(frozen=True)
class PhotoFrame:
    """A picture with its truth.

    Attributes:
        image: uint8 RGB.
        stamp_s: seconds since the stream began.
        truth: int8, one per kind: 1 present, 0 absent, -1 seen, but less than ``MIN_SHARE``.
    """

    image: Image
    stamp_s: float
    truth: NDArray[np.int8]


@dataclass(frozen=True)
class PhotoStream:
    """Drawn as it is read.

    Attributes:
        kinds: in the order of the truth.
        rooms: what the photos move through.
        crossings: in the order of time.
    """

    kinds: tuple[str, ...]
    rooms: SyntheticSequence
    crossings: tuple[Crossing, ...]

    def frames(self) -> Iterator[PhotoFrame]:
        """The frames in order."""
        for room in self.rooms.frames():
            image = room.image.copy()
            truth = np.zeros(len(self.kinds), np.int8)
            for crossing in self.crossings:
                share = crossing.lay(image, room.stamp_s)
                if share > 0.0:
                    truth[self.kinds.index(crossing.kind)] = 1 if share >= MIN_SHARE else -1
            yield PhotoFrame(image, room.stamp_s, truth)


@dataclass(frozen=True)
class StreamPlan:
    """How a stream is put together.

    Attributes:
        split: of the synthetic rooms.
        seed: of rooms, photos and ways.
        each: photos of each kind.
        crossing_s: seconds that a photo takes.
        gap_s: seconds without a photo after each.
        hz: frames per second.
        size: width and height.
    """

    split: str
    seed: int
    each: int
    crossing_s: float
    gap_s: float
    hz: float
    size: tuple[int, int] = (320, 240)


def photo_stream(
    plan: StreamPlan, photos: Mapping[str, Sequence[Path]], like: StreamPlan | None = None
) -> PhotoStream:
    """A stream in which each photo crosses once, kinds in random order.

    Args:
        plan: how.
        photos: by kind; so many of each as the plan says are chosen at random.
        like: another plan, whose photos are taken; they go other ways in other rooms.
    """
    chosen = _chosen(like or plan, photos)
    rng = np.random.default_rng((plan.seed, 16))
    crossings = []
    for number, which in enumerate(rng.permutation(len(chosen)).tolist()):
        kind, file = chosen[which]
        crossings.append(
            Crossing(
                kind,
                read_photo(file),
                start_s=plan.gap_s + number * (plan.crossing_s + plan.gap_s),
                duration_s=plan.crossing_s,
                to_right=bool(rng.random() < 0.5),
                height=float(rng.uniform(*_HEIGHTS)),
                middle=float(rng.uniform(0.4, 0.6)),
                tilt=float(rng.uniform(-_TILT, _TILT)),
            )
        )
    seconds = plan.gap_s + len(crossings) * (plan.crossing_s + plan.gap_s)
    rooms = make_sequence(
        plan.seed, split=plan.split, frames=round(seconds * plan.hz), hz=plan.hz, size=plan.size
    )
    return PhotoStream(tuple(photos), rooms, tuple(crossings))


def _chosen(plan: StreamPlan, photos: Mapping[str, Sequence[Path]]) -> list[tuple[str, Path]]:
    rng = np.random.default_rng((plan.seed, 15))
    return [
        (kind, files[place])
        for kind, files in photos.items()
        for place in rng.permutation(len(files))[: plan.each].tolist()
    ]


def read_photo(file: Path) -> Image:
    """A photo, uint8 RGB."""
    image = cv2.imread(str(file))
    if image is None:
        raise PolymorphError("a picture", "none", where=str(file))
    return image[:, :, ::-1].copy()


def photos_of(data: Path, kinds: Sequence[str], parts: Sequence[str]) -> dict[str, list[Path]]:
    """The photos of some kinds in some parts of the set, by kind.

    Raises:
        PolymorphError: a kind has none there.
    """
    with (data / "labels.csv").open(encoding="utf-8", newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["part"] in parts]
    found = {kind: [data / row["file"] for row in rows if row["kind"] == kind] for kind in kinds}
    for kind, files in found.items():
        if not files:
            raise PolymorphError(f"photos of {kind}", "none", where=str(data))
    return found


def commonest_kinds(data: Path) -> tuple[str, ...]:
    """Of each group of groceries the kind with most photos for training."""
    with (data / "labels.csv").open(encoding="utf-8", newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["part"] == "train"]
    counts = Counter((row["group"], row["kind"]) for row in rows)
    groups = sorted({group for group, _ in counts})
    return tuple(
        max((count, kind) for (group, kind), count in counts.items() if group == wanted)[1]
        for wanted in groups
    )
