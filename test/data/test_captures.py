"""Pins captured pictures on disk: recordings that our tools and rosbags read, whole at every
instant, also after a kill and on a full disk. Open: `ros2 bag` and Foxglove themselves, which are
not on this machine.
"""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from polymorph_ros.data.bags import read_bag_frames
from polymorph_ros.data.captures import NOTE_TOPIC, CaptureFolder, Note, as_jpeg, picture_message
from polymorph_ros.data.open_dataset import open_dataset
from polymorph_ros.data.recordings import find_recordings
from polymorph_ros.errors import PolymorphError
from polymorph_ros.interfaces.bag_messages import message_types, serialise
from polymorph_ros.interfaces.stamps import stamp_fields
from polymorph_ros.interfaces.topics import LABELS

IMAGE_TOPIC = "/front/image/compressed"


def note(stamp_ns: int, camera: str = "front", feature: np.ndarray | None = None) -> Note:
    return Note(
        camera, stamp_ns, IMAGE_TOPIC, "/polymorph/labels", "uncertain", 0.5, "trunk", feature
    )


def picture(stamp_ns: int) -> bytes:
    image = np.random.default_rng(stamp_ns).integers(0, 256, (48, 64, 3), np.uint8)
    return picture_message(as_jpeg(image), "jpeg", stamp_ns, "front_optical")


def labels(stamp_ns: int) -> bytes:
    header = {"stamp": stamp_fields(stamp_ns), "frame_id": "front_optical"}
    label = {"name": "mug", "id": 0, "score": 0.5, "active": True, "source": 1, "age": 0.0}
    fields = {"camera": "front", "state": 4, "reason": "", "novelty": 0.9, "trust": 0.3}
    fields["labels"] = [label]
    return serialise(LABELS.type, {"header": header, **fields})


def fill(folder: CaptureFolder, *stamps_ns: int, camera: str = "front") -> list:
    return [folder.add(picture(t), labels(t), note(t, camera)) for t in stamps_ns]


def read_all(bag: Path) -> dict[str, list[int]]:
    """Log times of each topic, as rosbags reads them."""
    found: dict[str, list[int]] = {}
    with AnyReader([bag], default_typestore=message_types()) as reader:
        for connection, stamp_ns, raw in reader.messages():
            reader.deserialize(raw, connection.msgtype)
            found.setdefault(connection.topic, []).append(stamp_ns)
        assert reader.message_count == sum(map(len, found.values()))
    return found


def test_a_recording_of_captures_is_read_by_rosbags_and_by_our_tools(tmp_path: Path) -> None:
    folder = CaptureFolder(tmp_path / "captures")
    stored = fill(folder, 1_000_000_000, 2_000_000_000, 3_500_000_000)

    bag = stored[0].bag
    stamps = [1_000_000_000, 2_000_000_000, 3_500_000_000]
    topics = (IMAGE_TOPIC, "/polymorph/labels", NOTE_TOPIC)
    assert read_all(bag) == dict.fromkeys(topics, stamps)
    frames = list(read_bag_frames(bag))
    assert [frame.stamp_ns for frame in frames] == stamps
    assert {frame.frame_id for frame in frames} == {"front_optical"}
    recordings, faults = find_recordings(tmp_path / "captures", topic=None, fps=30.0)
    assert ([one.name for one in recordings], faults) == ([bag.name], [])


def test_a_table_labels_captures_and_opens_as_a_data_set(tmp_path: Path) -> None:
    folder = CaptureFolder(tmp_path / "captures")
    bag = fill(folder, 1_000_000_000, 2_000_000_000)[0].bag
    table = tmp_path / "labels.csv"
    table.write_text(f"sequence,stamp,labels\n{bag.name},1.0,mug\n{bag.name},2.0,\n")

    dataset = open_dataset(tmp_path / "captures", labels=table)

    (sequence,) = dataset.sequences
    assert sequence.track.truth.tolist() == [[1], [0]]
    assert all(isinstance(one, np.ndarray) for one in sequence.pictures.read())


def test_stamps_that_jump_back_begin_another_recording(tmp_path: Path) -> None:
    folder = CaptureFolder(tmp_path)
    bags = [one.bag for one in fill(folder, 2_000_000_000, 3_000_000_000, 1_000_000_000)]
    assert bags[0] == bags[1] != bags[2]


def test_what_was_stored_is_found_again_and_continued(tmp_path: Path) -> None:
    feature = np.linspace(-1, 1, 8).astype(np.float32)
    first = CaptureFolder(tmp_path)
    first.add(picture(5), labels(5), note(5, feature=feature))

    again = CaptureFolder(tmp_path)
    fill(again, 7)

    assert len(again.pictures) == 2
    assert again.pictures[0].note.reason == "uncertain"
    np.testing.assert_allclose(again.pictures[0].note.feature, feature, atol=1e-3)
    assert again.size == sum(file.stat().st_size for file in tmp_path.glob("*/*.mcap"))


def test_a_dropped_picture_is_gone_from_the_recording_and_an_empty_one_from_the_folder(
    tmp_path: Path,
) -> None:
    folder = CaptureFolder(tmp_path)
    stored = fill(folder, 10, 20, 30)

    folder.drop(stored[1])

    assert read_all(stored[0].bag)[IMAGE_TOPIC] == [10, 30]
    folder.drop(stored[0])
    folder.drop(stored[2])
    assert list(tmp_path.iterdir()) == []


def test_the_recordings_of_others_stay_untouched(tmp_path: Path) -> None:
    other = tmp_path / "mine" / "mine_0.mcap"
    other.parent.mkdir()
    other.write_bytes(b"not a capture")

    folder = CaptureFolder(tmp_path)
    fill(folder, 1)

    assert len(folder.pictures) == 1
    assert other.read_bytes() == b"not a capture"
    assert not (other.parent / "metadata.yaml").exists()


def test_metadata_that_was_lost_is_written_again(tmp_path: Path) -> None:
    bag = fill(CaptureFolder(tmp_path), 1, 2)[0].bag
    (bag / "metadata.yaml").unlink()

    CaptureFolder(tmp_path)

    assert read_all(bag)[IMAGE_TOPIC] == [1, 2]


def test_a_picture_that_does_not_fit_on_the_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = CaptureFolder(tmp_path)
    stored = fill(folder, 1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(PolymorphError, match="room on the disk"):
            fill(folder, 2)
        with pytest.raises(PolymorphError, match="room on the disk"):
            fill(folder, 2, camera="rear")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert folder.pictures == tuple(stored)
    assert read_all(stored[0].bag)[IMAGE_TOPIC] == [1]
    assert list(tmp_path.iterdir()) == [stored[0].bag]
    fill(folder, 3)
    assert read_all(stored[0].bag)[IMAGE_TOPIC] == [1, 3]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "captures").write_text("")
    with pytest.raises(PolymorphError, match="a place that can be written to"):
        CaptureFolder(tmp_path / "captures")


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from data.test_captures import fill
from polymorph_ros.data.captures import CaptureFolder
folder = CaptureFolder(Path(sys.argv[1]))
stamp = max([picture.note.stamp_ns for picture in folder.pictures], default=0)
while True:
    stored = fill(folder, stamp := stamp + 1)
    print(stamp, flush=True)
    while len(folder.pictures) > 5:
        folder.drop(folder.pictures[0])
"""


def test_a_kill_leaves_whole_recordings_only(tmp_path: Path) -> None:
    """Killed three times while it writes and drops: each file is whole, and it goes on."""
    program = WRITER.format(tests=str(Path(__file__).parents[1]))
    for kill in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process:
            for _ in range(9 + kill):
                assert process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        for file in tmp_path.glob("*/*.mcap"):
            assert {len(times) for times in read_all(file).values()} == {1}
        stored = CaptureFolder(tmp_path).pictures
        assert len(stored) in (5, 6)
        for bag in {one.bag for one in stored}:
            assert read_all(bag)[IMAGE_TOPIC] == [p.note.stamp_ns for p in stored if p.bag == bag]
