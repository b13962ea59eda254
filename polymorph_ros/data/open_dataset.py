"""Find out what a path holds, and read it as a data set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from polymorph_ros.data.bag_files import is_bag
from polymorph_ros.data.bag_recordings import find_bags, labelled_by_truth
from polymorph_ros.data.coco_entries import read_document
from polymorph_ros.data.coco_video import coco_dataset
from polymorph_ros.data.cvat_xml import read_cvat
from polymorph_ros.data.dataset import Dataset, Fault
from polymorph_ros.data.datumaro_json import datumaro_root, is_datumaro, read_datumaro
from polymorph_ros.data.image_files import labelled_files
from polymorph_ros.data.image_folders import ImageFolder, find_image_folders
from polymorph_ros.data.joining import Recording, labelled_recordings
from polymorph_ros.data.label_csv import SEPARATOR, read_label_csv
from polymorph_ros.data.video_files import VIDEO_SUFFIXES, find_videos
from polymorph_ros.errors import PolymorphError

DEFAULT_TOLERANCE_S = 0.05
DEFAULT_FPS = 30.0

LABEL_SUFFIXES = (".csv", ".json", ".xml")

_KINDS = (
    "a label CSV, a JSON of COCO or Datumaro, an XML of CVAT, a video, a rosbag2 recording, or a "
    "folder with these"
)


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

    Pictures are not decoded here: read them, in order, from each sequence's ``pictures``. Only a
    recording that broke off is gone through, to say how much of it is lost.

    Args:
        path: a label CSV that names picture files; a JSON of COCO or Datumaro; an XML of CVAT;
            a folder of pictures; a video or a folder of videos; a rosbag2 recording (folder, .mcap,
            .db3) or a folder of recordings.
        labels: a label CSV, or for a folder of pictures a JSON. Without it: a folder's
            ``labels.csv`` or its only CSV or JSON, a video's CSV of the same name beside it, a
            recording's truth topic.
        topic: the topic of the images, needed where a recording has several.
        tolerance_s: how far a picture's stamp may be from its labels', in videos, recordings and
            folders of pictures whose table names no files.
        fps: frames per second where the data do not say it.
        separator: what stands between the labels of a CSV's cell.

    Raises:
        PolymorphError: there is nothing of a known format, or nothing usable in it.
    """
    place, given = Path(path), Path(labels) if labels else None
    _check("a tolerance of 0 s or more", f"{tolerance_s:g}", tolerance_s >= 0.0)
    _check("more than 0 frames per second", f"{fps:g}", 0.0 < fps < float("inf"))
    _check("a separator of labels", "none", bool(separator))
    try:
        return _opened(place, given, _Options(topic, tolerance_s, fps, separator))
    except OSError as error:
        where = str(error.filename or place)
        raise PolymorphError(
            "a readable place", error.strerror or str(error), where=where
        ) from None


@dataclass(frozen=True)
class _Options:
    topic: str | None
    tolerance_s: float
    fps: float
    separator: str


def _check(expected: str, found: str, sound: bool) -> None:
    if not sound:
        raise PolymorphError(expected, found)


def _opened(place: Path, given: Path | None, options: _Options) -> Dataset:
    """What ``open_dataset`` returns."""
    if not place.exists():
        raise PolymorphError(_KINDS, "nothing", where=str(place))
    if is_bag(place):
        inside = place / "labels.csv"
        return _of_recordings(place, given or (inside if inside.is_file() else None), options)
    if place.is_dir():
        return _of_folder(place, given, options)
    suffix = place.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return _of_recordings(place, given or _table_beside(place), options)
    if suffix not in LABEL_SUFFIXES:
        raise PolymorphError(_KINDS, "a file of another kind", where=str(place))
    if given:
        raise PolymorphError(
            "pictures in the path, where labels are given too", place.name, where=str(place)
        )
    return _of_label_file(place, None, options)


def _of_label_file(file: Path, root: Path | None, options: _Options) -> Dataset:
    """Of a JSON, or of a CSV that names the pictures' files."""
    suffix = file.suffix.lower()
    if suffix == ".xml":
        return labelled_files(read_cvat(file), root or _cvat_root(file), options.fps)
    if suffix == ".json":
        document = read_document(file)
        if is_datumaro(document):
            table = read_datumaro(file, document)
            return labelled_files(table, root or datumaro_root(file), options.fps)
        return coco_dataset(file, document, root, options.fps)
    table = read_label_csv(file, options.separator)
    if "file" not in table.columns:
        raise PolymorphError(
            "a column file",
            f"the columns {','.join(table.columns)}",
            where=str(file),
            remedy="give the video, recording or folder with the pictures, and this file as labels",
        )
    return labelled_files(table, root or file.parent, options.fps)


def _cvat_root(file: Path) -> Path:
    """The folder of a CVAT file's pictures: ``images`` beside it, or its own."""
    images = file.parent / "images"
    return images if images.is_dir() else file.parent


def _of_folder(folder: Path, given: Path | None, options: _Options) -> Dataset:
    """Of a folder with picture files, videos or recordings."""
    labels = given or _labels_in(folder)
    if labels is None:
        return _of_recordings(folder, None, options)
    if labels.suffix.lower() in (".json", ".xml"):
        return _of_label_file(labels, folder if given else None, options)
    if "file" in read_label_csv(labels, options.separator).columns:
        return _of_label_file(labels, folder, options)
    return _of_recordings(folder, labels, options)


def _of_recordings(place: Path, labels: Path | None, options: _Options) -> Dataset:
    """Of one or more videos, recordings or folders of pictures with stamps."""
    bags, faults = find_bags(place, options.topic)
    if labels is None:
        if not bags:
            raise PolymorphError(
                "labels.csv or a single CSV or JSON in the folder",
                ", ".join(file.name for file in _label_files(place)) or "none",
                where=str(place),
                remedy="name the file with the labels",
            )
        dataset = labelled_by_truth(bags, options.tolerance_s)
        return replace(dataset, faults=(*dataset.faults, *faults))
    table = read_label_csv(labels, options.separator)
    if "stamp" not in table.columns:
        raise PolymorphError(
            "a column stamp", f"the columns {','.join(table.columns)}", where=str(labels)
        )
    videos, bad_videos = find_videos(place)
    recordings: list[Recording] = [*bags, *videos]
    folders: list[ImageFolder] = []
    if not recordings and place.is_dir():
        folders = find_image_folders(place, options.fps)
        recordings = [*folders]
    if not recordings:
        first = bad_videos[0] if bad_videos else Fault(str(place), "there is none")
        raise PolymorphError(
            "a video, recording or pictures", f"{first.where}: {first.reason}", where=str(place)
        )
    dataset = labelled_recordings(table, recordings, options.tolerance_s)
    used = {track.name for track in dataset.tracks()}
    bases = [folder.basis() for folder in folders if folder.name in used]
    return replace(
        dataset,
        faults=(*dataset.faults, *faults, *bad_videos),
        assumptions=tuple(dict.fromkeys((*dataset.assumptions, *table.assumptions, *bases))),
    )


def _table_beside(video: Path) -> Path:
    table = video.with_suffix(".csv")
    if not table.exists():
        raise PolymorphError(
            f"labels, or {table.name} beside the video",
            "neither",
            where=str(video),
            remedy="give a CSV with the columns stamp,labels",
        )
    return table


def _label_files(folder: Path) -> list[Path]:
    found = [file for suffix in LABEL_SUFFIXES for file in folder.glob(f"*{suffix}")]
    return sorted(found or folder.glob("annotations/*.json"))


def _labels_in(folder: Path) -> Path | None:
    """The folder's ``labels.csv``, else its only file of labels."""
    files = _label_files(folder)
    named = [file for file in files if file.name == "labels.csv"] or files
    return named[0] if len(named) == 1 else None
