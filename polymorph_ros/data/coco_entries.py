"""The entries of an annotation file in COCO's way: ids, numbers, categories, pictures, videos."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polymorph_ros.data.dataset import Fault
from polymorph_ros.data.label_names import clean_name, printable
from polymorph_ros.errors import PolymorphError

Key = int | str | None

_SECTIONS = ("images", "annotations", "categories")
_LEAST, _MOST = 1e-6, 1e12  # of rates and frame numbers
_WHOLE = re.compile(r"([+-]?\d{1,18})(?:\.0*)?", re.ASCII)


@dataclass
class Picture:
    """A frame of a video.

    Attributes:
        file: its path as it is written.
        index: of the frame in its video; None where nothing says it.
        present: labels that are annotated in it.
        doubtful: labels that may be in it, as an annotation could not be used.
        unclear: another picture has its id: nobody knows which of them its annotations are of.
        negative: labels that were looked for in this very picture, where it says so (LVIS).
    """

    file: str
    index: int | None
    present: set[str] = field(default_factory=set)
    doubtful: set[str] = field(default_factory=set)
    unclear: bool = False
    negative: set[str] | None = None


@dataclass
class Video:
    """A video's entry and its frames.

    Attributes:
        name: of its sequence.
        fps: frames per second, where its entry says it.
        negative: labels that somebody looked for and did not find.
        partly: labels that are not annotated wherever they are.
        vague: nobody knows what is absent, as its entry is not clear.
        images: its frames.
    """

    name: str
    fps: float | None
    negative: set[str] = field(default_factory=set)
    partly: set[str] = field(default_factory=set)
    vague: bool = False
    images: list[Picture] = field(default_factory=list)

    def annotated(self) -> set[str]:
        """The labels of all its frames."""
        return {label for image in self.images for label in image.present}


def read_document(path: Path) -> dict[str, Any]:
    """A JSON file with an object as it is written.

    Raises:
        PolymorphError: it is not readable or no JSON.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise PolymorphError(
            "a readable JSON file", error.strerror or str(error), where=str(path)
        ) from None
    except RecursionError:
        raise PolymorphError("a JSON file", "one nested too deeply", where=str(path)) from None
    except ValueError as error:
        raise PolymorphError("a JSON file", printable(str(error)), where=str(path)) from None
    return document if isinstance(document, dict) else {}


def require_sections(path: Path, document: Mapping[str, Any]) -> None:
    """Check that a document has COCO's lists.

    Raises:
        PolymorphError: one is missing.
    """
    lists = [name for name in _SECTIONS if isinstance(mapping(document).get(name), list)]
    if len(lists) < len(_SECTIONS):
        raise PolymorphError(
            f"lists named {', '.join(_SECTIONS)}",
            ", ".join(lists) or "none of them",
            where=str(path),
            remedy="give the annotation file of a video data set",
        )


def mapping(value: Any) -> Mapping[str, Any]:
    """An object of the document; an empty one where something else stands."""
    return value if isinstance(value, dict) else {}


def key_of(value: Any) -> Key:
    """An id, or None where there is none; whole floats and digits are integers.

    >>> key_of(3.0), key_of("2"), key_of("clip"), key_of(1.5)
    (3, 2, 'clip', None)
    """
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _MOST else None
    if isinstance(value, str):
        match = _WHOLE.fullmatch(value.strip())
        return int(match[1]) if match else value.strip() or None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def entries(section: Any) -> list[tuple[Key, Mapping[str, Any]]]:
    """Each entry of a section with its id."""
    found = section if isinstance(section, list) else []
    return [(key_of(mapping(entry).get("id")), mapping(entry)) for entry in found]


def shown(value: Any) -> str:
    """A value for messages: short, in one line."""
    plain = value is None or isinstance(value, str | int | float)
    text = value if isinstance(value, str) else str(value) if plain else type(value).__name__
    return printable(text)[:99]


def rate_of(value: Any) -> float | None:
    """Frames per second, or None where none are given."""
    try:
        rate = float(value) if isinstance(value, int | float | str) else 0.0
    except (ValueError, OverflowError):
        return None
    return rate if _LEAST < rate < _MOST else None


def labels_of(path: Path, section: Any, faults: list[Fault]) -> dict[Key, str]:
    """Category id -> label; a category that TAO merged into another has the other's.

    An id that two categories have means neither.
    """
    labels: dict[Key, str] = {}
    unclear: set[Key] = set()
    for key, entry in entries(section):
        name = entry.get("name")
        if key is None or not isinstance(name, str) or not clean_name(name):
            continue
        if labels.setdefault(key, clean_name(name)) != clean_name(name):
            unclear.add(key)
    for key in unclear:
        faults.append(Fault(f"{path}, category {key}", "expected an id of its own"))
        del labels[key]
    for key, entry in entries(section):
        for merged, _ in entries(entry.get("merged")):
            if key in labels and merged is not None:
                labels[merged] = labels[key]
    return labels


def videos_of(
    path: Path, section: Any, labels: Mapping[Key, str], faults: list[Fault]
) -> dict[Key, Video]:
    """The videos by their ids; where two have one id, nothing is absent in their frames."""
    videos: dict[Key, Video] = {}
    for key, entry in entries(section):
        lists = [entry.get(f"{kind}_category_ids", []) for kind in ("neg", "not_exhaustive")]
        where = f"{path}, video {shown(key)}"
        if not all(isinstance(ids, list) for ids in lists):
            faults.append(Fault(where, "expected lists of category ids"))
            continue
        negative, partly = ({key_of(one) for one in ids} for ids in lists)
        name = shown(entry.get("name") or key)
        video = Video(
            name,
            rate_of(entry.get("fps")),
            {labels[one] for one in negative if one in labels},
            {labels[one] for one in partly if one in labels},
            vague=not partly <= set(labels),
        )
        if key is None or key in videos:
            faults.append(Fault(where, "expected an id of its own"))
            if key in videos:
                videos[key].vague = True
        else:
            videos[key] = video
    return videos


def pictures_of(
    path: Path,
    section: Any,
    labels: Mapping[Key, str],
    videos: Mapping[Key, Video] | None,
    faults: list[Fault],
) -> dict[Key, Picture | None]:
    """The pictures by their ids, those that cannot be used as None; they join their videos.

    Without videos, entries of one file are one picture.

    Args:
        path: of the file, for messages.
        section: the list ``images``.
        labels: by category id.
        videos: by id; None where the file has none, so that pictures need no index either.
        faults: what cannot be used is added.
    """
    images: dict[Key, Picture | None] = {}
    by_file: dict[str, Picture] = {}
    for key, entry in entries(section):
        image, reason = _picture(entry, videos)
        if image and videos is None:
            image = by_file.setdefault(image.file, image)
        first = images.get(key)
        if key is None or (key in images and (first is None or first is not image)):
            reason = "expected an id of its own"
            if first:
                first.unclear = True
        if reason:
            faults.append(Fault(f"{path}, image {shown(key)}", reason))
            images.setdefault(key, None)
        elif image and key not in images:
            images[key] = image
            if videos is not None:
                videos[key_of(entry.get("video_id"))].images.append(image)
            negative = entry.get("neg_category_ids")
            if isinstance(negative, list):
                image.negative = {labels[one] for one in map(key_of, negative) if one in labels}
    images.pop(None, None)
    return images


def _picture(
    entry: Mapping[str, Any], videos: Mapping[Key, Video] | None
) -> tuple[Picture | None, str]:
    """The picture of an entry, or what is wrong with it."""
    index, file = key_of(entry.get("frame_index", entry.get("frame_id"))), entry.get("file_name")
    frame = index if isinstance(index, int) and abs(index) <= _MOST else None
    if not isinstance(file, str) or (videos is not None and frame is None):
        return None, "expected a frame_index and a file_name"
    if videos is not None and key_of(entry.get("video_id")) not in videos:
        return None, f"expected a known video, found {shown(entry.get('video_id'))}"
    return Picture(printable(file), None if videos is None else frame), ""
