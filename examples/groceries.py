"""Make label CSVs of the grocery photos (Klasson et al., WACV 2019): photos, shelves and products.

    python examples/groceries.py [FOLDER] [--data ../shared/data] [--most SEQUENCES] [--views N]

Reads grocery/labels.csv and one trace of label sets; writes into FOLDER (build/groceries):

photos_{train,val,test}.csv: every photo by itself, labelled with its kind, one of 43. Only the main
product of a photo is judged: what else stands on its shelf counts as absent. Those to train on are
there in several views: mirrored, cropped, in other light.

shelves_{train,val,test}.csv: walks along drawn shelves on which real photos stand as tiles, one to
four in view. Kinds that are neighbours in the set's list, within a group, are neighbours there.

products_{train,val,test}.csv: the same with 81 products. Which are in view follows sequences of
Charades (real video, actions at 1 Hz): its 81 commonest actions stand for a product each, the
mapping is random. No sequence and no photo is in two parts; of more than four, four are shown. For
validation there are photos of some products only; the others do not come into view.

The pixels of the photos are real; shelves, arrangement and motion are synthetic. The parts are the
set's own, but kinds without a photo for validation get their last four of training there.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from camvid_davis import DATA, Rows, relative, write

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))
from parts.photo_stream import lay, read_photo
from polymorph_ros.training.augmentation import changed_view

FOLDER = Path("build/groceries")
TRACE = "traces/charades_actions_1hz.jsonl.gz"

SIZE = (240, 180)  # width and height of the frames that are drawn
MOST_IN_VIEW = 4
VIEWS = 7  # changed ones, of a photo to train on
SMALLEST = 0.6  # of a photo's sides, that a view shows
HELD_OUT = 4  # photos for validation, of kinds that have none
WALK_HZ = 2.0
WALK_FRAMES = 24
WALKS = {"train": 250, "val": 40, "test": 60}
TRACE_HZ = 1.0
TRACED = {"train": 200, "test": 80, "val": 40}  # sequences
SHORTEST = 20  # frames of a sequence of a trace
STEP, TURN, RESIZE, LEAP = 0.25, 0.05, 0.15, 0.03  # chances per frame of a walk
CELLS = {  # how many are in view: columns, rows
    1: (1, 1),
    2: (2, 1),
    3: (2, 2),
    4: (2, 2),
}
EASE = 0.6  # of the way to its place that a tile goes from frame to frame

COLUMNS = ("sequence", "stamp", "file", "labels")
Photos = Mapping[str, Sequence[Path]]
LabelSets = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Photo:
    """A line of the set's table."""

    part: str
    file: Path
    product: str
    kind: str
    group: str


def photos(data: Path) -> list[Photo]:
    """All photos, each with its part: train, val or test."""
    folder = data / "grocery"
    with (folder / "labels.csv").open(newline="") as file:
        table = [Photo(**row) for row in csv.DictReader(file)]
    found = [Photo(p.part, folder / p.file, p.product, p.kind, p.group) for p in table]
    validated = {photo.kind for photo in found if photo.part == "val"}
    by_kind = defaultdict(list)
    for photo in found:
        if photo.part == "train" and photo.kind not in validated:
            by_kind[photo.kind].append(photo)
    moved = {photo for of_kind in by_kind.values() for photo in of_kind[-HELD_OUT:]}
    return [Photo("val", p.file, p.product, p.kind, p.group) if p in moved else p for p in found]


@dataclass
class Tile:
    """A photo that is in view as long as its label is.

    Attributes:
        centre: pixels; it moves.
        scale: of the photo's own size; it changes.
        stretch: how far it fills its cell.
        tilt: radians.
    """

    image: np.ndarray
    centre: np.ndarray
    scale: float
    stretch: float
    tilt: float


@dataclass
class Shelf:
    """A drawn shelf before a moving camera, with photos on it."""

    photos: Photos
    rng: np.random.Generator
    tiles: dict[str, Tile] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._wall = self.rng.uniform(60, 200, 3)
        self._board = self.rng.uniform(40, 220, 3)
        self._light = self.rng.uniform(0.7, 1.2)
        self._place = 0.0

    def frame(self, labels: Sequence[str]) -> np.ndarray:
        """The picture with these labels in view, uint8 RGB."""
        rng, (width, height) = self.rng, SIZE
        for gone in set(self.tiles) - set(labels):
            del self.tiles[gone]
        for label in labels:
            if label not in self.tiles:
                self.tiles[label] = self._new_tile(label)
        picture = self._empty()
        columns, rows = CELLS.get(len(labels), (1, 1))
        cell = np.array([width / columns, height / rows])
        for index, label in enumerate(labels):
            tile = self.tiles[label]
            at = (np.array([index % columns, index // columns]) + 0.5) * cell
            sides = np.array(tile.image.shape[1::-1])
            scale = tile.stretch * float(np.sqrt(np.prod(cell / sides)))
            fresh = tile.scale == 0.0
            ease = 1.0 if fresh else EASE
            tile.centre = tile.centre + ease * (at - tile.centre) + rng.normal(0, 0.03 * cell)
            tile.scale = tile.scale + ease * (scale - tile.scale)
            tile.tilt += rng.normal(0, 0.02)
            lay(tile.image, picture, tile.centre, tile.scale, tile.tilt)
        lit = picture * self._light + rng.normal(0, 3.0)
        return np.clip(lit, 0, 255).astype(np.uint8)

    def _new_tile(self, label: str) -> Tile:
        rng = self.rng
        files = self.photos[label]
        image = read_photo(files[rng.integers(len(files))])
        return Tile(image, np.zeros(2), 0.0, rng.uniform(0.75, 1.25), rng.normal(0, 0.1))

    def _empty(self) -> np.ndarray:
        """Boards before a wall, moved a little from frame to frame."""
        width, height = SIZE
        self._place += self.rng.normal(0, 3.0)
        shade = np.linspace(1.0, 0.8, height)[:, None, None]
        picture = np.ascontiguousarray(
            np.broadcast_to(shade * self._wall, (height, width, 3)).astype(np.uint8)
        )
        for board in range(3):
            top = int((board * height / 2 + self._place) % height)
            cv2.rectangle(picture, (0, top), (width, top + 8), self._board.tolist(), -1)
        return picture


def walk(aisles: Sequence[Sequence[str]], rng: np.random.Generator) -> LabelSets:
    """The kinds in view on a walk along the shelves of a shop."""
    aisle = list(aisles[rng.integers(len(aisles))])
    place, way, count = int(rng.integers(len(aisle))), 1, int(rng.integers(1, MOST_IN_VIEW + 1))
    sets = []
    for _ in range(WALK_FRAMES):
        sets.append([aisle[(place + offset) % len(aisle)] for offset in range(count)])
        step, turn, resize, leap = rng.random(4)
        if turn < TURN:
            way = -way
        if step < STEP:
            place += way
        if resize < RESIZE:
            count = int(rng.integers(1, MOST_IN_VIEW + 1))
        if leap < LEAP:
            aisle = list(aisles[rng.integers(len(aisles))])
            place = int(rng.integers(len(aisle)))
    return sets


def traced(data: Path, products: Sequence[str], rng: np.random.Generator) -> dict[str, list]:
    """Of each part the sequences of products that stand for what a real trace shows."""
    with gzip.open(data / TRACE, "rt") as file:
        sequences = [json.loads(line)["frames"] for line in file]
    counts = Counter(name for frames in sequences for names in frames for name in names)
    classes = [name for name, _ in counts.most_common(len(products))]
    stands_for = dict(zip(classes, rng.permutation(np.array(products)).tolist(), strict=True))
    usable = [frames for frames in sequences if len(frames) >= SHORTEST]
    order = iter(rng.permutation(len(usable)).tolist())
    return {
        part: [list(limited(usable[next(order)], stands_for)) for _ in range(count)]
        for part, count in TRACED.items()
    }


def limited(frames: LabelSets, stands_for: Mapping[str, str]) -> Iterator[list[str]]:
    """The products of each frame; of too many, those that came into view first stay."""
    shown: list[str] = []
    for names in frames:
        now = [stands_for[name] for name in names if name in stands_for]
        shown = [label for label in shown if label in now]
        shown = (shown + [label for label in now if label not in shown])[:MOST_IN_VIEW]
        yield shown


def draw(name: str, sequences: Sequence[LabelSets], of: Photos, hz: float, folder: Path) -> Rows:
    """Draw and write the frames of sequences; their rows."""
    rows: Rows = []
    seed = sum(name.encode())
    for number, sets in enumerate(sequences):
        shelf = Shelf(of, np.random.default_rng((seed, number)))
        sequence = f"{name}_{number:04d}"
        for index, labels in enumerate(sets):
            file = folder / name / sequence / f"{index:03d}.jpg"
            save(shelf.frame(labels), file)
            rows.append(
                {
                    "sequence": sequence,
                    "stamp": f"{index / hz:.3f}",
                    "file": relative(file, folder),
                    "labels": "|".join(labels),
                }
            )
    return rows


def save(image: np.ndarray, file: Path) -> None:
    """Write a picture, uint8 RGB, as JPEG."""
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), image[:, :, ::-1], (cv2.IMWRITE_JPEG_QUALITY, 85))


def alone(name: str, found: Sequence[Photo], folder: Path) -> Rows:
    """A sequence of one frame for each photo."""
    return [
        {
            "sequence": f"{name}_{photo.file.stem}",
            "stamp": "0.000",
            "file": relative(photo.file, folder),
            "labels": photo.kind,
        }
        for photo in found
    ]


def seen_anew(rows: Rows, views: int, folder: Path) -> Iterator[dict[str, str]]:
    """Rows of photos, each followed by changed views of it, which are written."""
    for number, row in enumerate(rows):
        yield row
        image = read_photo(folder / row["file"])
        for view in range(1, views + 1):
            file = folder / "photos_train" / row["sequence"] / f"{view}.jpg"
            save(changed_view(image, np.random.default_rng((number, view)), SMALLEST), file)
            yield {**row, "stamp": f"{view:.3f}", "file": relative(file, folder)}


def files_by(what: str, found: Sequence[Photo]) -> dict[str, list[Path]]:
    """The photos of each kind or product."""
    files = defaultdict(list)
    for photo in found:
        files[getattr(photo, what)].append(photo.file)
    return dict(files)


def main(
    folder: Path = FOLDER, data: Path = DATA, most: int | None = None, views: int = VIEWS
) -> None:
    """Write tables and pictures, of at most so many drawn sequences for each table.

    Args:
        views: changed ones of each photo to train on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = photos(data)
    parts = {part: [p for p in found if p.part == part] for part in ("train", "val", "test")}
    groups = defaultdict(dict)
    for photo in found:
        groups[photo.group][photo.kind] = None
    for part, count in WALKS.items():
        rows = alone(f"photos_{part}", parts[part], folder)
        if part == "train" and views:
            rows = list(seen_anew(rows, views, folder))
        write(folder / f"photos_{part}.csv", rows, COLUMNS)
        rng = np.random.default_rng((17, count))
        walks = [walk([list(group) for group in groups.values()], rng) for _ in range(count)]
        of = files_by("kind", parts[part])
        rows = draw(f"shelves_{part}", walks[:most], of, WALK_HZ, folder)
        write(folder / f"shelves_{part}.csv", rows, COLUMNS)
    products = sorted({photo.product for photo in found})
    for part, sequences in traced(data, products, np.random.default_rng(17)).items():
        of = files_by("product", parts[part])
        there = [[[p for p in shown if p in of] for shown in sets] for sets in sequences[:most]]
        rows = draw(f"products_{part}", there, of, TRACE_HZ, folder)
        write(folder / f"products_{part}.csv", rows, COLUMNS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--most", type=int)
    parser.add_argument("--views", type=int, default=VIEWS)
    given = parser.parse_args()
    if not (given.data / "grocery/labels.csv").is_file():
        sys.exit(f"expected the evaluation data, found none at {given.data}")
    main(given.folder, given.data, given.most, given.views)
