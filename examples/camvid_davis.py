"""Make label CSVs of the evaluation data CamVid and DAVIS, split into training and test part.

    python examples/camvid_davis.py [FOLDER]

Reads ../shared/data/camvid/area.csv and ../shared/data/davis/labels.csv; writes camvid_train.csv,
camvid_test.csv, davis_train.csv and davis_test.csv into FOLDER (build/camvid_davis). They name the
pictures where they lie.

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

Row = tuple[str, float, Path, str, str]  # sequence, seconds, picture, labels, unknown labels


def camvid(data: Path) -> tuple[list[Row], list[Row]]:
    """Training and test rows."""
    rows: tuple[list[Row], list[Row]] = ([], [])
    with (data / "camvid/area.csv").open(newline="") as file:
        for entry in csv.DictReader(file):
            classes = [name for name in entry if name not in CAMVID_OTHER_COLUMNS]
            seen = [name for name in classes if float(entry[name]) > CAMVID_MIN_AREA]
            labels = "|".join(CAMVID_NAMES_IN_DAVIS.get(name, name) for name in seen)
            unknown = "person" if "Bicyclist" in seen and "Pedestrian" not in seen else ""
            picture = data / "camvid" / entry["file"]
            stamp_s = int(entry["frame30"]) / CAMVID_HZ
            part = rows[entry["split"] != "train"]
            part.append((entry["sequence"], stamp_s, picture, labels, unknown))
    return rows


def davis(data: Path) -> tuple[list[Row], list[Row]]:
    """Training and test rows."""
    with (data / "davis/labels.csv").open(newline="") as file:
        entries = list(csv.DictReader(file))
    lengths = Counter(entry["sequence"] for entry in entries)
    rows: tuple[list[Row], list[Row]] = ([], [])
    for entry in entries:
        name, frame = entry["sequence"], int(entry["frame"])
        picture = data / "davis" / entry["file"]
        part = rows[frame >= DAVIS_TRAIN_SHARE * lengths[name]]
        labels = entry["labels_authored_from_sequence_name"]
        part.append((name, frame / DAVIS_HZ, picture, labels, ""))
    return rows


def write(path: Path, rows: list[Row]) -> None:
    """Write a label CSV; the pictures are named relative to its folder."""
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["sequence", "stamp", "file", "labels", "unknown"])
        for sequence, stamp_s, picture, labels, unknown in rows:
            where = Path(os.path.relpath(picture, path.parent)).as_posix()
            table.writerow([sequence, f"{stamp_s:.6f}", where, labels, unknown])
    unfinished.rename(path)
    print(f"{path}: {len(rows)} frames")


def main(folder: Path = FOLDER) -> None:
    """Write the four tables."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (train, test) in {"camvid": camvid(DATA), "davis": davis(DATA)}.items():
        write(folder / f"{name}_train.csv", train)
        write(folder / f"{name}_test.csv", test)


if __name__ == "__main__":
    if not DATA.is_dir():
        sys.exit(f"expected the evaluation data, found nothing at {DATA}")
    main(*[Path(argument) for argument in sys.argv[1:2]])
