"""Pins reading and writing of bags: pictures, stamps and truth survive, faults are told plainly.

Bags are real files, written here in both storages. Leaves open whether `ros2 bag play` accepts
them: that needs an installed ROS 2.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from ruamel.yaml import YAML

from polymorph_ros.data.bag_writer import START_NS, write_synthetic_bag
from polymorph_ros.data.bags import (
    COMPRESSED_IMAGE,
    IMAGE,
    STRING,
    TRUTH_TOPIC,
    find_image_topic,
    image_topics,
    read_bag_frames,
    read_bag_truth,
)
from polymorph_ros.data.pixels import ImageError
from polymorph_ros.data.synthetic import SYNTHETIC_LABELS, SyntheticSequence, make_sequence
from polymorph_ros.errors import PolymorphError

TYPES = get_typestore(Stores.ROS2_HUMBLE)
CAMVID = Path(__file__).parents[3] / "shared/data/camvid/bag_0016E5_15hz"


@pytest.fixture(scope="module")
def sequence() -> SyntheticSequence:
    return make_sequence(3, split="test", frames=7, hz=10.0, size=(64, 48))


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory, sequence: SyntheticSequence) -> Path:
    path = tmp_path_factory.mktemp("bags") / "scenes"
    assert write_synthetic_bag(path, sequence, frame_id="front") == 7
    return path


def record(
    path: Path,
    topics: dict[str, tuple[str, list[bytes]]],
    storage: StoragePlugin = StoragePlugin.MCAP,
) -> Path:
    """A bag with these serialised messages, one nanosecond apart."""
    with Writer(path, version=9, storage_plugin=storage) as writer:
        for topic, (kind, messages) in topics.items():
            link = writer.add_connection(topic, kind, typestore=TYPES)
            for number, message in enumerate(messages):
                writer.write(link, 1 + number, message)
    return path


def image_message(image: np.ndarray, stamp_ns: int = 5, *, encoding: str = "bgr8") -> bytes:
    stamp = TYPES.types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9))
    header = TYPES.types["std_msgs/msg/Header"](stamp=stamp, frame_id="cam")
    height, width = image.shape[:2]
    data = np.ascontiguousarray(image).reshape(-1)
    message = TYPES.types[IMAGE](header, height, width, encoding, 0, data.size // height, data)
    return bytes(TYPES.serialize_cdr(message, IMAGE))


def text_message(text: str) -> bytes:
    return bytes(TYPES.serialize_cdr(TYPES.types[STRING](text), STRING))


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)


def test_raw_pictures_survive(bag: Path, sequence: SyntheticSequence) -> None:
    frames = list(read_bag_frames(bag))
    assert len(frames) == len(sequence)
    for frame, scene in zip(frames, sequence.frames(), strict=True):
        np.testing.assert_array_equal(frame.image, scene.image)
        assert frame.stamp_ns == START_NS + round(scene.stamp_s * 1e9)
        assert frame.frame_id == "front"
        assert frame.camera == "/camera/image_raw"


def test_pictures_without_compression_are_views_of_their_messages(bag: Path) -> None:
    for frame in read_bag_frames(bag):
        assert not frame.image.flags.owndata


def test_a_lone_file_is_read_like_its_folder(bag: Path) -> None:
    (file,) = bag.glob("*.mcap")
    assert [frame.stamp_ns for frame in read_bag_frames(file)] == [
        frame.stamp_ns for frame in read_bag_frames(bag)
    ]


def test_truth_lies_beside_the_pictures(bag: Path, sequence: SyntheticSequence) -> None:
    truth = read_bag_truth(bag)
    assert list(truth) == [frame.stamp_ns for frame in read_bag_frames(bag)]
    for told, scene in zip(truth.values(), sequence.frames(), strict=True):
        assert told == dict(zip(SYNTHETIC_LABELS, scene.truth.tolist(), strict=True))


def test_compressed_pictures_survive_nearly(tmp_path: Path, sequence: SyntheticSequence) -> None:
    path = tmp_path / "jpeg"
    write_synthetic_bag(path, sequence, jpeg_quality=95)
    (topic,) = image_topics(path)
    assert (topic.name, topic.type) == ("/camera/image_raw/compressed", COMPRESSED_IMAGE)
    for frame, scene in zip(read_bag_frames(path), sequence.frames(), strict=True):
        assert np.abs(frame.image.astype(int) - scene.image).mean() < 8
    assert len(read_bag_truth(path)) == len(sequence)


def test_the_metadata_are_of_a_version_that_every_supported_release_reads(bag: Path) -> None:
    described = YAML(typ="safe").load((bag / "metadata.yaml").read_text())
    information = described["rosbag2_bagfile_information"]
    assert information["version"] <= 8
    assert information["storage_identifier"] == "mcap"
    assert information["relative_file_paths"] == ["scenes.mcap"]
    assert information["message_count"] == 14
    for topic in information["topics_with_message_count"]:
        # a list here is what Humble cannot read
        assert isinstance(topic["topic_metadata"]["offered_qos_profiles"], str)


def test_writing_leaves_nothing_else_behind(bag: Path) -> None:
    assert [path.name for path in bag.parent.iterdir()] == ["scenes"]
    assert sorted(path.name for path in bag.iterdir()) == ["metadata.yaml", "scenes.mcap"]


def test_a_folder_that_exists_is_left_alone(tmp_path: Path, sequence: SyntheticSequence) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(PolymorphError, match="does not exist yet"):
        write_synthetic_bag(tmp_path / "mine", sequence)
    assert list((tmp_path / "mine").iterdir()) == []


@pytest.mark.parametrize("quality", [0, 101])
def test_an_impossible_quality_is_refused(
    tmp_path: Path, sequence: SyntheticSequence, quality: int
) -> None:
    with pytest.raises(PolymorphError, match="quality"):
        write_synthetic_bag(tmp_path / "bag", sequence, jpeg_quality=quality)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("storage", list(StoragePlugin))
def test_both_storages_are_read(tmp_path: Path, storage: StoragePlugin) -> None:
    image = picture()
    path = record(tmp_path / "b", {"/cam": (IMAGE, [image_message(image)])}, storage)
    (frame,) = read_bag_frames(path, "/cam")
    np.testing.assert_array_equal(frame.image, image[:, :, ::-1])
    assert (frame.stamp_ns, frame.frame_id) == (5, "cam")


def test_the_stamp_is_the_cameras_not_the_recorders(tmp_path: Path) -> None:
    stamps = [3_000_000_001, 7_999_999_999]
    messages = [image_message(picture(), stamp) for stamp in stamps]
    path = record(tmp_path / "b", {"/cam": (IMAGE, messages)})
    assert [frame.stamp_ns for frame in read_bag_frames(path)] == stamps


def test_a_missing_topic_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    one = (IMAGE, [image_message(picture())])
    path = record(tmp_path / "b", {"/left": one, "/right": one, "/chat": (STRING, [])})
    with pytest.raises(PolymorphError, match=r"topic /middle, found /left, /right; name one"):
        find_image_topic(path, "/middle")
    with pytest.raises(PolymorphError, match=r"one image topic, found /left, /right"):
        next(read_bag_frames(path))
    with pytest.raises(PolymorphError, match=r"topic /chat, found /left, /right"):
        next(read_bag_frames(path, "/chat"))
    assert find_image_topic(path, "/left").count == 1


def test_a_bag_without_pictures_says_so(tmp_path: Path) -> None:
    path = record(tmp_path / "b", {"/chat": (STRING, [text_message("hello")])})
    with pytest.raises(PolymorphError, match="one image topic, found none"):
        next(read_bag_frames(path))


def test_a_bag_without_truth_has_an_empty_truth(tmp_path: Path) -> None:
    path = record(tmp_path / "b", {"/cam": (IMAGE, [image_message(picture())])})
    assert read_bag_truth(path) == {}


@pytest.mark.parametrize(
    "text",
    [
        "not JSON",
        "[]",
        json.dumps({"truth": {"mug": 1}}),
        json.dumps({"stamp_ns": 1}),
        json.dumps({"stamp_ns": 1, "truth": {"mug": 2}}),
        json.dumps({"stamp_ns": 1, "truth": {"mug": "yes"}}),
    ],
)
def test_truth_of_another_format_is_refused(tmp_path: Path, text: str) -> None:
    path = record(tmp_path / "b", {TRUTH_TOPIC: (STRING, [text_message(text)])})
    with pytest.raises(PolymorphError, match="topic /truth"):
        read_bag_truth(path)


def test_a_malformed_picture_keeps_its_reason(tmp_path: Path) -> None:
    message = image_message(picture(), encoding="rgb9")
    path = record(tmp_path / "b", {"/cam": (IMAGE, [message])})
    with pytest.raises(ImageError) as caught:
        next(read_bag_frames(path))
    assert caught.value.reason == "encoding"


def test_a_png_is_read(tmp_path: Path) -> None:
    image = picture()
    stamp = TYPES.types["builtin_interfaces/msg/Time"](0, 9)
    header = TYPES.types["std_msgs/msg/Header"](stamp=stamp, frame_id="cam")
    data = cv2.imencode(".png", image[:, :, ::-1])[1]
    message = TYPES.types[COMPRESSED_IMAGE](header, "rgb8; png compressed bgr8", data)
    raw = bytes(TYPES.serialize_cdr(message, COMPRESSED_IMAGE))
    path = record(tmp_path / "b", {"/cam/compressed": (COMPRESSED_IMAGE, [raw])})
    (frame,) = read_bag_frames(path)
    np.testing.assert_array_equal(frame.image, image)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_recording_that_broke_off_is_refused_in_one_line(
    bag: Path, tmp_path: Path, share: float
) -> None:
    (whole,) = bag.glob("*.mcap")
    broken = tmp_path / "broken.mcap"
    broken.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
    with pytest.raises(PolymorphError) as caught:
        list(read_bag_frames(broken))
    assert "\n" not in str(caught.value)
    assert "recover" in str(caught.value)


@pytest.mark.parametrize("metadata", [None, "", "{}", "garbage: ["])
def test_a_folder_that_is_no_bag_is_refused_in_one_line(
    tmp_path: Path, metadata: str | None
) -> None:
    if metadata is not None:
        (tmp_path / "metadata.yaml").write_text(metadata)
    with pytest.raises(PolymorphError) as caught:
        image_topics(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolymorphError, match="found nothing"):
        image_topics(tmp_path / "nowhere")


def test_real_driving_video_is_read() -> None:
    if not CAMVID.exists():
        pytest.skip("no CamVid recording at ../shared/data/camvid/bag_0016E5_15hz")
    frames = list(read_bag_frames(CAMVID))
    assert len(frames) == 101
    assert {frame.camera for frame in frames} == {"/camera/image_raw/compressed"}
    stamps = [frame.stamp_ns for frame in frames]
    assert stamps == sorted(set(stamps))
    assert stamps[-1] - stamps[0] == pytest.approx(6.67e9, abs=1e7)
    assert all(frame.image.std() > 10 for frame in frames)
