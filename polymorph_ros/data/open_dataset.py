"""Find out what a path holds, and read it as a data set."""

from __future__ import annotations

from pathlib import Path

from polymorph_ros.data.coco_video import read_coco_video
from polymorph_ros.data.dataset import Dataset
from polymorph_ros.data.image_files import labelled_files
from polymorph_ros.data.label_csv import SEPARATOR, read_label_csv
from polymorph_ros.errors import PolymorphError

DEFAULT_TOLERANCE_S = 0.05
DEFAULT_FPS = 30.0


def open_dataset(
    path: Path | str,
    *,
    labels: Path | str | None = None,
    topic: str | None = None,
    tolerance_s: float = DEFAULT_TOLERANCE_S,
    fps: float = DEFAULT_FPS,
    separator: str = SEPARATOR,
) -> Dataset:
    """Read labelled video of any of the formats that ``docs/data.md`` describes.

    Pictures are not opened here: read them, in order, from each sequence's ``pictures``.

    Args:
        path: a label CSV, or a folder of images.
        labels: the label CSV of a folder; without it, the folder's ``labels.csv``, or the only
            CSV that lies in it.
        topic: the topic of the images, needed where a recording has several.
        tolerance_s: how far a picture's stamp may be from its row's.
        fps: frames per second where the data do not say it.
        separator: what stands between the labels of a CSV's cell.

    Raises:
        PolymorphError: there is nothing of a known format, or nothing usable in it.
    """
    path = Path(path)
    if not tolerance_s >= 0.0:
        raise PolymorphError("a tolerance of 0 s or more", f"{tolerance_s:g}", where=str(path))
    if not fps > 0.0:
        raise PolymorphError("more than 0 frames per second", f"{fps:g}", where=str(path))
    if path.suffix.lower() == ".csv" and not path.is_dir():
        return labelled_files(read_label_csv(path, separator), path.parent, fps)
    if path.suffix.lower() == ".json" and not path.is_dir():
        return read_coco_video(path, None, fps)
    if path.is_dir() and labels and Path(labels).suffix.lower() == ".json":
        return read_coco_video(Path(labels), path, fps)
    if path.is_dir():
        file = Path(labels) if labels else _labels_in(path)
        return labelled_files(read_label_csv(file, separator), path, fps)
    raise PolymorphError(
        "a label CSV, or a folder with one",
        "something else" if path.exists() else "nothing",
        where=str(path),
    )


def _labels_in(folder: Path) -> Path:
    tables = sorted(folder.glob("*.csv"))
    named = [table for table in tables if table.name == "labels.csv"] or tables
    if len(named) == 1:
        return named[0]
    raise PolymorphError(
        "labels.csv or a single CSV in the folder",
        ", ".join(table.name for table in tables) or "none",
        where=str(folder),
        remedy="name the file with the labels",
    )
