"""The pictures of recordings, videos and folders, without labels."""

from __future__ import annotations

from pathlib import Path

from polymorph_ros.data.bag_recordings import find_bags
from polymorph_ros.data.dataset import Fault
from polymorph_ros.data.image_folders import find_image_folders
from polymorph_ros.data.joining import Recording
from polymorph_ros.data.video_files import find_videos
from polymorph_ros.errors import PolymorphError


def find_recordings(
    place: Path, *, topic: str | None, fps: float, quick: bool = False
) -> tuple[list[Recording], list[Fault]]:
    """The recordings of a path and below, and what cannot be used of it.

    Args:
        place: a rosbag2 recording, a video, or a folder with these; where it has neither, the
            folders of pictures in it.
        topic: the topic of the images, needed where a recording has several.
        fps: frames per second of pictures whose names do not say when they were taken.
        quick: whether to read no more than stamps where that is possible: damage is not found.

    Raises:
        PolymorphError: there is nothing that can be used.
    """
    expected = "a recording, a video or a folder with these or with pictures"
    if not place.exists():
        raise PolymorphError(expected, "nothing", where=str(place))
    bags, faults = find_bags(place, topic, quick=quick)
    videos, bad_videos = find_videos(place)
    faults = [*faults, *bad_videos]
    recordings: list[Recording] = [*bags, *videos]
    if not recordings and place.is_dir():
        recordings = [*find_image_folders(place, fps)]
    if not recordings:
        found = f"{faults[0].where}: {faults[0].reason}" if faults else "none"
        raise PolymorphError(expected, found, where=str(place))
    return recordings, faults
