"""Video annotations in COCO's way (TAO, CocoVID): one JSON file, one picture file per frame.

What "not annotated" means. TAO is *federated*: with hundreds of categories nobody looks for each of
them in each video. A category is looked for in few videos only, and each video says what was found:

- in ``neg_category_ids``: somebody looked, and it is in no frame of the video: absent;
- annotated somewhere in the video: then every instance of it was meant to be annotated in every
  listed frame, so it is present in the frames where it is annotated and absent in the others;
- annotated, but in ``not_exhaustive_category_ids``: some instances were left out, so it is present
  where it is annotated and unknown elsewhere;
- none of these: nobody looked. It is unknown, and must not count as absent in any loss, statistic
  or metric.

A file without these lists (plain CocoVID) is read in the same way: what a video never shows is
unknown there, because the file does not say that anybody looked. Only listed frames count: TAO
annotates about one frame per second, and the pictures between them are not part of the data set.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from polymorph_ros.data.dataset import Dataset, Fault, LabelledSequence
from polymorph_ros.data.image_files import ImageFiles
from polymorph_ros.data.labelling import stamp_order
from polymorph_ros.data.track import Track
from polymorph_ros.data.vocabulary import Vocabulary
from polymorph_ros.errors import PolymorphError

Key = int | str | None

_SECTIONS = ("videos", "images", "annotations", "categories")
_LIMIT = 1e12  # of rates and frame numbers
_REMEDY = "give the annotation file of a video data set"


@dataclass
class _Image:
    index: int
    file: str
    present: set[str] = field(default_factory=set)


@dataclass
class _Video:
    name: str
    fps: float
    negative: set[str]
    not_exhaustive: set[str]
    images: list[_Image] = field(default_factory=list)

    def annotated(self) -> set[str]:
        return {label for image in self.images for label in image.present}


def read_coco_video(path: Path, root: Path | None, fps: float) -> Dataset:
    """Read an annotation file; the module says what "not annotated" means.

    The vocabulary is every category that is annotated or negative somewhere, in the order of
    ``categories``. Stamps are ``frame_index / fps``, with the ``fps`` of the video's entry, else
    that of ``info``, else the given one. Sequences bear the name of their video, else its id.

    Args:
        path: the JSON file.
        root: what file names are relative to. None tries the file's own folder, its parent, and
            ``frames`` in its parent (TAO's layout), and takes the first that has a picture.
        fps: frames per second of videos whose entry and file do not say it.

    Raises:
        PolymorphError: the file is not readable, lacks a section, or has no usable picture entry.
    """
    document = _document(path)
    faults: list[Fault] = []
    labels = _labels(document["categories"])
    file_fps = _positive(_mapping(document.get("info")).get("fps"))
    videos = _videos(path, document["videos"], labels, file_fps or fps, faults)
    images = _images(path, document["images"], videos, faults)
    _annotate(path, document["annotations"], images, labels, faults)
    used = {key: video for key, video in videos.items() if video.images}
    if not used:
        raise PolymorphError("entries of pictures", "no usable one", where=f"{path}, images")
    judged = {label for video in used.values() for label in video.annotated() | video.negative}
    names = [label for label in dict.fromkeys(labels.values()) if label in judged]
    if not names:
        raise PolymorphError("annotations of known categories", "none", where=str(path))
    vocabulary = Vocabulary(tuple(names))
    where = root or _root(path, [image for video in used.values() for image in video.images])
    sequences = [
        _sequence(path, video, where, vocabulary, faults)
        for video in sorted(used.values(), key=lambda video: video.name)
    ]
    said = {key for key, entry in _entries(document["videos"]) if _positive(entry.get("fps"))}
    assumed = [] if file_fps or set(used) <= said else [f"{fps:g} frames per second"]
    if not any(video.negative for video in used.values()):
        assumed.append("a category that is not annotated in a video is unknown there")
    return Dataset(vocabulary, tuple(sequences), tuple(faults), tuple(assumed))


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise PolymorphError(
            "a readable JSON file", error.strerror or str(error), where=str(path)
        ) from None
    except ValueError as error:
        raise PolymorphError("a JSON file", str(error), where=str(path)) from None
    lists = [name for name in _SECTIONS if isinstance(_mapping(document).get(name), list)]
    if len(lists) < len(_SECTIONS):
        raise PolymorphError(
            f"lists named {', '.join(_SECTIONS)}",
            ", ".join(lists) or "none of them",
            where=str(path),
            remedy=_REMEDY,
        )
    return dict(document)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _key(value: Any) -> Key:
    """An id, or None where there is none."""
    return value if isinstance(value, int | str) else None


def _keys(value: Any) -> list[Key]:
    return [_key(one) for one in value] if isinstance(value, list) else []


def _entries(section: Any) -> list[tuple[Key, Mapping[str, Any]]]:
    entries = section if isinstance(section, list) else []
    return [(_key(_mapping(entry).get("id")), _mapping(entry)) for entry in entries]


def _positive(value: Any) -> float | None:
    """A rate, or None where none is given."""
    sound = isinstance(value, int | float) and 0 < value < _LIMIT
    return float(value) if sound else None


def _labels(categories: Any) -> dict[Key, str]:
    """Category id -> label; a category that TAO merged into another has the other's."""
    labels: dict[Key, str] = {}
    for key, entry in _entries(categories):
        name = entry.get("name")
        if key is not None and isinstance(name, str) and name.strip():
            labels[key] = name.strip()
    for key, entry in _entries(categories):
        for merged, _ in _entries(entry.get("merged")):
            if key in labels and merged is not None:
                labels[merged] = labels[key]
    return labels


def _videos(
    path: Path,
    section: Any,
    labels: Mapping[Key, str],
    fps: float,
    faults: list[Fault],
) -> dict[Key, _Video]:
    videos: dict[Key, _Video] = {}
    for key, entry in _entries(section):
        lists = [entry.get(f"{kind}_category_ids", []) for kind in ("neg", "not_exhaustive")]
        where = f"{path}, video {key}"
        if key is None or key in videos:
            faults.append(Fault(where, "expected an id of its own"))
        elif not all(isinstance(ids, list) for ids in lists):
            faults.append(Fault(where, "expected lists of category ids"))
        else:
            negative, partly = ({labels[c] for c in _keys(ids) if c in labels} for ids in lists)
            name = str(entry.get("name") or key)
            rate = _positive(entry.get("fps")) or fps
            videos[key] = _Video(name, rate, negative, partly)
    return videos


def _images(
    path: Path, section: Any, videos: Mapping[Key, _Video], faults: list[Fault]
) -> dict[Key, _Image]:
    images: dict[Key, _Image] = {}
    for key, entry in _entries(section):
        index = entry.get("frame_index", entry.get("frame_id"))
        file = entry.get("file_name")
        video = videos.get(_key(entry.get("video_id")))
        where = f"{path}, image {key}"
        if key is None or key in images:
            faults.append(Fault(where, "expected an id of its own"))
        elif not isinstance(index, int) or abs(index) > _LIMIT or not isinstance(file, str):
            faults.append(Fault(where, "expected a frame_index and a file_name"))
        elif video is None:
            faults.append(Fault(where, f"expected a known video, found {entry.get('video_id')}"))
        else:
            images[key] = _Image(index, file)
            video.images.append(images[key])
    return images


def _annotate(
    path: Path,
    section: Any,
    images: Mapping[Key, _Image],
    labels: Mapping[Key, str],
    faults: list[Fault],
) -> None:
    for key, entry in _entries(section):
        image = images.get(_key(entry.get("image_id")))
        label = labels.get(_key(entry.get("category_id")))
        if image is None or label is None:
            kind, name = ("image", "image_id") if image is None else ("category", "category_id")
            found = f"expected a known {kind}, found {entry.get(name)}"
            faults.append(Fault(f"{path}, annotation {key}", found))
        else:
            image.present.add(label)


def _root(path: Path, images: Sequence[_Image]) -> Path:
    """The folder that file names are relative to: TAO keeps pictures beside its annotations."""
    places = (path.parent, path.parent.parent, path.parent.parent / "frames")
    for place in places:
        if (place / images[0].file).is_file():
            return place
    return path.parent


def _sequence(
    path: Path, video: _Video, root: Path, vocabulary: Vocabulary, faults: list[Fault]
) -> LabelledSequence:
    order, doubles = stamp_order([image.index for image in video.images])
    for index in doubles:
        image = video.images[index]
        where = f"{path}, video {video.name}"
        faults.append(Fault(where, f"{image.file}: another picture has frame {image.index} too"))
    annotated = video.annotated()
    for label in sorted(annotated & video.negative):
        reason = f"expected no annotation of {label!r}, which is in neg_category_ids"
        faults.append(Fault(f"{path}, video {video.name}", reason))
    images = [video.images[index] for index in order]
    truth = np.full((len(images), len(vocabulary)), -1, dtype=np.int8)
    absent = (annotated | video.negative) - video.not_exhaustive
    truth[:, list(vocabulary.ids_of(absent))] = 0
    for row, image in enumerate(images):
        truth[row, list(vocabulary.ids_of(image.present))] = 1
    stamps_s = np.array([image.index / video.fps for image in images], dtype=np.float64)
    track = Track(truth, stamps_s, video.name)
    return LabelledSequence(track, ImageFiles(tuple(root / image.file for image in images)))
