"""Make label CSVs of the evaluation data CamVid and DAVIS, split into training and test part.

    python examples/camvid_davis.py [FOLDER]

Reads ../shared/data/camvid/area.csv and ../shared/data/davis/labels.csv; writes camvid_train.csv,
camvid_test.csv, davis_train.csv and davis_test.csv into FOLDER (build/camvid_davis). They name the
pictures where they lie. camvid_bag.csv has the labels of the recording
../shared/data/camvid/bag_0016E5_15hz, whose frames are a part of the test.

CamVid: a class is a label of a frame of which it covers more than 1 %; "Unlabelled" is none. Its
own training part is for training, the rest (val and test) for the test. DAVIS: the first 60 % of
each clip are for training; only the objects after which a clip is named are labelled.

"Car" and "Pedestrian" of CamVid are DAVIS's "car" and "person", which makes 23 labels in all. A
bicyclist is a person too, but in a class of its own: where CamVid has bicyclists and no
pedestrians, "person" is unknown. No other class of one set is judged in the other: score each
frame on its own set's labels.
"""

from __future__ import annotations

import csv
import os
import sys
from collections import Counter
from pathlib import Path

DATA = Path(__file__).parents[2] / "shared/data"
FOLDER = Path("build/camvid_davis")

CAMVID_MIN_AREA = 0.01
CAMVID_HZ = 30.0
CAMVID_NAMES_IN_DAVIS = {"Car": "car", "Pedestrian": "person"}
CAMVID_OTHER_COLUMNS = {"sequence", "frame30", "split", "file", "Unlabelled"}
DAVIS_HZ = 24.0
DAVIS_TRAIN_SHARE = 0.6

COLUMNS = ("sequence", "stamp", "file", "labels", "unknown")
Rows = list[dict[str, str]]


def camvid(data: Path, folder: Path) -> tuple[Rows, Rows]:
    """Training and test rows."""
    parts: tuple[Rows, Rows] = ([], [])
    with (data / "camvid/area.csv").open(newline="") as file:
        for entry in csv.DictReader(file):
            classes = [name for name in entry if name not in CAMVID_OTHER_COLUMNS]
            seen = [name for name in classes if float(entry[name]) > CAMVID_MIN_AREA]
            row = {
                "sequence": entry["sequence"],
                "stamp": f"{int(entry['frame30']) / CAMVID_HZ:.6f}",
                "file": relative(data / "camvid" / entry["file"], folder),
                "labels": "|".join(CAMVID_NAMES_IN_DAVIS.get(name, name) for name in seen),
                "unknown": "person" if "Bicyclist" in seen and "Pedestrian" not in seen else "",
            }
            parts[entry["split"] != "train"].append(row)
    return parts


def davis(data: Path, folder: Path) -> tuple[Rows, Rows]:
    """Training and test rows."""
    with (data / "davis/labels.csv").open(newline="") as file:
        entries = list(csv.DictReader(file))
    lengths = Counter(entry["sequence"] for entry in entries)
    parts: tuple[Rows, Rows] = ([], [])
    for entry in entries:
        name, frame = entry["sequence"], int(entry["frame"])
        row = {
            "sequence": name,
            "stamp": f"{frame / DAVIS_HZ:.6f}",
            "file": relative(data / "davis" / entry["file"], folder),
            "labels": entry["labels_authored_from_sequence_name"],
            "unknown": "",
        }
        parts[frame >= DAVIS_TRAIN_SHARE * lengths[name]].append(row)
    return parts


def relative(picture: Path, folder: Path) -> str:
    """A picture's path as seen from the tables' folder."""
    return Path(os.path.relpath(picture, folder)).as_posix()


def write(path: Path, rows: Rows, columns: tuple[str, ...] = COLUMNS) -> None:
    """Write a label CSV."""
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("w", newline="") as file:
        table = csv.DictWriter(file, columns, extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
    unfinished.rename(path)
    print(f"{path}: {len(rows)} frames")


def main(folder: Path = FOLDER) -> None:
    """Write the tables."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in {"camvid": camvid(DATA, folder), "davis": davis(DATA, folder)}.items():
        for part, part_rows in zip(("train", "test"), rows, strict=True):
            write(folder / f"{name}_{part}.csv", part_rows)
    bag = [row for row in camvid(DATA, folder)[1] if "/val/0016E5" in row["file"]]
    write(folder / "camvid_bag.csv", bag, ("stamp", "labels", "unknown"))


if __name__ == "__main__":
    if not DATA.is_dir():
        sys.exit(f"expected the evaluation data, found nothing at {DATA}")
    main(*[Path(argument) for argument in sys.argv[1:2]])
