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
unknown there, because the file does not say that anybody looked. In plain COCO, without videos, the
pictures of a folder are one video. What an unusable annotation would have said is unknown. Only
listed frames count: TAO annotates about one frame per second, and the pictures between them are not
part of the data set.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from polymorph_ros.data.coco_entries import (
    Key,
    Picture,
    Video,
    entries,
    key_of,
    labels_of,
    mapping,
    pictures_of,
    rate_of,
    require_sections,
    shown,
    videos_of,
)
from polymorph_ros.data.dataset import Dataset, Fault, LabelledSequence
from polymorph_ros.data.image_files import ImageFiles, stamps_of_names
from polymorph_ros.data.image_paths import path_note, picture_name
from polymorph_ros.data.label_names import spelling_notes
from polymorph_ros.data.labelling import stamp_order
from polymorph_ros.data.track import Track
from polymorph_ros.data.vocabulary import Vocabulary
from polymorph_ros.errors import PolymorphError

_TRIED = 50  # pictures with which a folder is tried


def coco_dataset(path: Path, document: Mapping[str, Any], root: Path | None, fps: float) -> Dataset:
    """The data set of an annotation file; the module says what "not annotated" means.

    The vocabulary is every category that is annotated or negative somewhere, in the order of
    ``categories``. Stamps are ``frame_index / fps``, with the ``fps`` of the video's entry, else
    that of ``info``, else the given one. Sequences bear the name of their video, else its id.
    Without videos, stamps are those of the file names in their order, see ``stamps_of_names``, and
    sequences bear the name of their folder.

    Args:
        path: the JSON file.
        document: what is in it.
        root: what file names are relative to. None tries the file's own folder, its parent, and
            ``frames`` in its parent (TAO's layout), ``data`` beside it (FiftyOne's), and takes the
            first that has a picture.
        fps: frames per second of videos whose entry and file do not say it.

    Raises:
        PolymorphError: the document lacks a section, or has no usable picture entry.
    """
    require_sections(path, document)
    faults: list[Fault] = []
    labels = labels_of(path, document["categories"], faults)
    videos = videos_of(path, document.get("videos"), labels, faults)
    given = videos if document.get("videos") else None
    images = pictures_of(path, document["images"], labels, given, faults)
    usable = list({id(image): image for image in images.values() if image}.values())
    if not usable:
        raise PolymorphError("entries of pictures", "no usable one", where=f"{path}, images")
    _annotate(path, document["annotations"], images, labels, videos, faults)
    where = root or _root(path, usable)
    written = [image.file for image in usable]
    for image in usable:
        image.file = picture_name(where, image.file)
    assumed = [path_note(where, written, [image.file for image in usable])]
    if given is None:
        videos = _videos_of_folders(path, usable)
    used = [video for video in videos.values() if video.images]
    vocabulary = _vocabulary(path, used, labels)
    file_fps = rate_of(mapping(document.get("info")).get("fps"))
    sequences = []
    for video in sorted(used, key=lambda video: video.name):
        stamps_s, basis = _stamps_of(video, file_fps or fps, bool(video.fps or file_fps))
        assumed.append(basis)
        sequences.append(_sequence(path, video, stamps_s, where, vocabulary, faults))
    if given is None:
        assumed.append("the pictures of a folder are one video")
    if not any(video.negative for video in used):
        assumed.append("a category that is not annotated in a video is unknown there")
    names = [str(entry.get("name")) for _, entry in entries(document["categories"])]
    notes = tuple(dict.fromkeys(note for note in [*assumed, *spelling_notes(names)] if note))
    return Dataset(vocabulary, tuple(sequences), tuple(faults), notes)


def _vocabulary(path: Path, videos: Sequence[Video], labels: Mapping[Key, str]) -> Vocabulary:
    judged = {label for video in videos for label in video.annotated() | video.negative}
    judged |= {name for video in videos for image in video.images for name in image.negative or ()}
    names = [label for label in dict.fromkeys(labels.values()) if label in judged]
    if not names:
        raise PolymorphError("annotations of known categories", "none", where=str(path))
    return Vocabulary(tuple(names))


def _annotate(
    path: Path,
    section: Any,
    images: Mapping[Key, Picture | None],
    labels: Mapping[Key, str],
    videos: Mapping[Key, Video],
    faults: list[Fault],
) -> None:
    """Enter what is annotated; what an annotation fails to say becomes doubtful."""
    usable = [image for image in images.values() if image]
    for key, entry in entries(section):
        image_key = key_of(entry.get("image_id"))
        image = images.get(image_key)
        label = labels.get(key_of(entry.get("category_id")))
        if image and label:
            image.present.add(label)
            continue
        kind, name = ("category", "category_id") if image else ("image", "image_id")
        found = f"expected a known {kind}, found {shown(entry.get(name))}"
        faults.append(Fault(f"{path}, annotation {shown(key)}", found))
        if image:
            image.doubtful.update(labels.values())
        elif label and image_key not in images:
            video = videos.get(key_of(entry.get("video_id")))
            for one in video.images if video else usable:
                one.doubtful.add(label)


def _root(path: Path, images: Sequence[Picture]) -> Path:
    """The folder that file names are relative to: TAO keeps pictures beside its annotations."""
    above = path.parent.parent
    for place in (path.parent, path.parent / "data", above, above / "frames"):
        files = (place / picture_name(place, image.file) for image in images[:_TRIED])
        if any(os.path.isfile(file) for file in files):
            return place
    return path.parent


def _videos_of_folders(path: Path, images: Sequence[Picture]) -> dict[Key, Video]:
    videos: dict[Key, Video] = {}
    for image in sorted(images, key=lambda image: image.file):
        folder = PurePosixPath(image.file).parent.as_posix()
        name = path.stem if folder == "." else folder
        videos.setdefault(name, Video(name, None)).images.append(image)
    return videos


def _stamps_of(video: Video, fps: float, given: bool) -> tuple[list[float], str]:
    """The stamps of a video's frames, and what was assumed."""
    indices = [image.index for image in video.images if image.index is not None]
    if not indices:
        return stamps_of_names([PurePosixPath(image.file).stem for image in video.images], fps)
    rate = video.fps or fps
    return [index / rate for index in indices], "" if given else f"{fps:g} frames per second"


def _sequence(
    path: Path,
    video: Video,
    stamps_s: Sequence[float],
    root: Path,
    vocabulary: Vocabulary,
    faults: list[Fault],
) -> LabelledSequence:
    order, doubles = stamp_order(stamps_s)
    first = {stamps_s[index]: video.images[index] for index in order}
    for index in doubles:
        image = video.images[index]
        reason = f"{image.file}: another picture has frame {image.index} too"
        faults.append(Fault(f"{path}, video {video.name}", reason))
        kept = first[stamps_s[index]]
        if kept.file == image.file:
            kept.present |= image.present
        kept.doubtful |= image.present | image.doubtful
    annotated = video.annotated()
    for label in sorted(annotated & video.negative):
        reason = f"expected no annotation of {label!r}, which is in neg_category_ids"
        faults.append(Fault(f"{path}, video {video.name}", reason))
    images = [video.images[index] for index in order]
    judged = set() if video.vague else (annotated | video.negative) - video.partly
    truth = np.full((len(images), len(vocabulary)), -1, dtype=np.int8)
    for row, image in zip(truth, images, strict=True):
        absent = (judged if image.negative is None else image.negative) - image.doubtful
        if not image.unclear:
            row[list(vocabulary.ids_of(absent & set(vocabulary)))] = 0
            row[list(vocabulary.ids_of(image.present))] = 1
    stamps = np.array([stamps_s[index] for index in order], dtype=np.float64)
    files = tuple(root / image.file for image in images)
    return LabelledSequence(Track(truth, stamps, video.name), ImageFiles(files))
