"""Pins recordings as they really come: wrong stamps, foreign channels, missing parts, zstd.

The numbers are those of the reports that the cases come from. Bags are real files, written here.
Leaves open what a recorder that runs at the same time does to a file.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import StoragePlugin
from typer.testing import CliRunner

from helpers.recordings import (
    CAMERA,
    brightness_of,
    ros1_message,
    write_bag,
    write_checked_mcap,
    write_ros1_bag,
)
from polymorph_ros.cli.main import app
from polymorph_ros.data.bags import read_bag_frames
from polymorph_ros.data.dataset import Dataset
from polymorph_ros.data.open_dataset import open_dataset
from polymorph_ros.errors import PolymorphError

LOG = [1.7e9 + number / 10 for number in range(40)]
LABELLED = [0, 3, 7, 12, 20, 24, 35, 39]
storages = pytest.mark.parametrize("storage", list(StoragePlugin))


def labels(path: Path, stamps_s: list[float]) -> Path:
    path.write_text("stamp,labels\n" + "".join(f"{stamp:.6f},mug\n" for stamp in stamps_s))
    return path


def opened(bag: Path, stamps_s: list[float]) -> Dataset:
    return open_dataset(bag, labels=labels(bag.parent / "labels.csv", stamps_s))


def pictures_of(dataset: Dataset) -> list[int | str]:
    return brightness_of(dataset)


def expected(frames: list[int]) -> list[int]:
    return [10 * (frame % 25) for frame in frames]


def ahead(*frames: int) -> Callable[[list[float]], list[float]]:
    """Stamps of which some are an hour ahead."""
    return lambda stamps: [s + 3600 * (number in frames) for number, s in enumerate(stamps)]


@storages
@pytest.mark.parametrize(
    "change",
    [
        ahead(0),
        ahead(20),
        ahead(39),
        ahead(0, 1, 2, 3, 4),
        ahead(5, 21, 38),
        lambda stamps: [3.0, *stamps[1:]],
        lambda stamps: [*stamps[:30], *[stamps[29]] * 10],
        lambda stamps: [*[0.0] * 10, *stamps[10:]],
        lambda stamps: [s - 7200 * (s > 1.7e9 + 3.05) for s in stamps],
    ],
    ids=["first", "middle", "last", "five", "three", "epoch", "still", "zero", "back"],
)
def test_case_05_outliers_are_named_and_every_label_finds_its_picture(
    tmp_path: Path, storage: StoragePlugin, change: Callable[[list[float]], list[float]]
) -> None:
    bag = write_bag(tmp_path / "drive", LOG, storage=storage, headers_s=change(LOG))

    dataset = opened(bag, [LOG[frame] for frame in LABELLED])

    assert pictures_of(dataset) == expected(LABELLED)
    (assumed,) = dataset.assumptions
    assert assumed.startswith("drive: ")
    assert "header stamps are not in step" in assumed


def test_case_05_learned_times_never_come_from_an_outlier(tmp_path: Path) -> None:
    headers = ahead(12)(LOG)
    bag = write_bag(tmp_path / "drive", LOG, headers_s=headers)

    dataset = opened(bag, [headers[frame] for frame in LABELLED])  # an exporter copied the stamps

    assert pictures_of(dataset) == expected(LABELLED)
    (track,) = dataset.tracks()
    np.testing.assert_allclose(track.stamps_s, [LOG[frame] for frame in LABELLED], atol=1e-3)


@storages
@pytest.mark.parametrize("constant", [0.0, 5.0, 1.7e9])
def test_case_07_without_sane_stamps_labels_are_joined_by_log_times(
    tmp_path: Path, storage: StoragePlugin, constant: float
) -> None:
    bag = write_bag(tmp_path / "drive", LOG, storage=storage, headers_s=[constant] * 40)

    dataset = opened(bag, [LOG[frame] for frame in LABELLED])

    assert pictures_of(dataset) == expected(LABELLED)
    why = "every header stamp is zero" if constant == 0 else "the header stamps stand still"
    assert dataset.assumptions == (
        f"drive: {why}; all pictures have log time",
        "drive: the stamps of its labels are taken as log times",
    )


def test_case_07_frames_for_the_engine_have_log_times_too(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "drive", LOG, headers_s=[0.0] * 40)
    frames = list(read_bag_frames(bag))
    assert [frame.stamp_ns for frame in frames] == [round(stamp * 1e9) for stamp in LOG]


def test_case_07_a_truth_topic_of_pictures_without_stamps(tmp_path: Path) -> None:
    told = json.dumps({"stamp_ns": 0, "truth": {"mug": 1}})
    truth = {LOG[frame]: told for frame in LABELLED}
    bag = write_bag(tmp_path / "drive", LOG, headers_s=[0.0] * 40, truth=truth)
    assert pictures_of(open_dataset(bag)) == expected(LABELLED)


@pytest.mark.parametrize("as_log", [False, True])
def test_case_07_a_constant_offset_is_sane_and_labels_may_be_in_either_time(
    tmp_path: Path, as_log: bool
) -> None:
    headers = [12.0 + number / 10 for number in range(40)]  # simulated time
    bag = write_bag(tmp_path / "drive", LOG, headers_s=headers)

    dataset = opened(bag, [(LOG if as_log else headers)[frame] for frame in LABELLED])

    assert pictures_of(dataset) == expected(LABELLED)
    (track,) = dataset.tracks()
    np.testing.assert_allclose(track.stamps_s, [headers[f] for f in LABELLED], atol=1e-5)
    assert len(dataset.assumptions) == as_log


def test_a_recorded_loop_is_labelled_in_its_first_lap(tmp_path: Path) -> None:
    lap = [12.0 + number / 10 for number in range(20)]
    bag = write_bag(tmp_path / "drive", LOG, headers_s=[*lap, *lap])

    dataset = opened(bag, lap[::4])

    assert pictures_of(dataset) == expected([0, 4, 8, 12, 16])
    assert "20 of 40 header stamps are not in step" in dataset.assumptions[0]


@pytest.mark.parametrize(
    ("headers", "used", "outliers", "offset_s"),
    [
        (LOG, "header", 0, 0.0),
        ([stamp - 100 for stamp in ahead(0)(LOG)], "header", 1, -100.0),
        ([0.0] * 40, "log", 40, None),
    ],
)
def test_case_05_07_data_check_says_which_clock(
    tmp_path: Path, headers: list[float], used: str, outliers: int, offset_s: float | None
) -> None:
    bag = write_bag(tmp_path / "drive", LOG, headers_s=headers)
    table = labels(tmp_path / "labels.csv", LOG[:5])
    out = tmp_path / "out.json"
    words = ["data", "check", str(bag), "--labels", str(table), "--json", str(out)]

    result = CliRunner().invoke(app, words, env={"COLUMNS": "200"})

    assert result.exit_code == 0, result.output
    report = json.loads(out.read_text())
    assert report["readable"] == 5
    (sequence,) = report["sequences"]
    assert sequence["clock"]["used"] == used
    assert sequence["clock"]["outliers"] == outliers
    assert sequence["clock"]["offset_s"] == (offset_s and pytest.approx(offset_s, abs=1e-6))
    assert used in result.output
    assert ("assumed" in result.output) == bool(outliers)


def foreign(writer: McapWriter) -> None:
    """Channels of other makers, and a definition that nobody can parse."""
    for name, encoding, message, text in (
        ("foxglove.CompressedImage", "protobuf", "protobuf", b"\x0a\x00\xff"),
        ("Pose", "jsonschema", "json", b"{}"),
        ("my_msgs/msg/Odd", "ros2msg", "cdr", b"this is <no> definition @@@"),
        ("sensor_msgs/msg/Image", "no such encoding", "cbor", b""),
    ):
        schema = writer.register_schema(name, encoding, text)
        channel = writer.register_channel(f"/other/{encoding.split()[0]}", message, schema)
        writer.add_message(channel, 10**18, b"{}", 10**18)
    bare = writer.register_channel("/bare", "json", 0)
    writer.add_message(bare, 10**18, b"{}", 10**18)


@pytest.mark.parametrize("profile", ["ros2", "", "foxglove"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": CompressionType.ZSTD, "chunk_size": 5000},
        {"compression": CompressionType.LZ4},
        {"use_chunking": False},
        {"use_statistics": False},
        {"repeat_schemas": False, "repeat_channels": False},
        {"use_summary_offsets": False, "index_types": 0},
    ],
    ids=["plain", "zstd", "lz4", "flat", "uncounted", "unrepeated", "no index"],
)
def test_case_20_foreign_channels_are_passed_over_without_a_word(
    tmp_path: Path, profile: str, options: dict[str, object]
) -> None:
    file = tmp_path / "drive.mcap"
    if options.get("index_types") == 0:
        from mcap.writer import IndexType

        options = {**options, "index_types": IndexType.NONE}
    write_checked_mcap(file, LOG, profile=profile, beside=foreign, **options)

    dataset = opened(file, [LOG[frame] for frame in LABELLED])

    assert pictures_of(dataset) == expected(LABELLED)
    assert (dataset.faults, dataset.assumptions) == ((), ())


@storages
@pytest.mark.parametrize(
    "metadata", ["version 10", "", "garbage: [", "[" * 5000, "{}", "rosbag2_bagfile_information:"]
)
def test_case_20_metadata_that_cannot_be_understood_does_not_matter(
    tmp_path: Path, storage: StoragePlugin, metadata: str
) -> None:
    bag = write_bag(tmp_path / "drive", LOG, storage=storage)
    file = bag / "metadata.yaml"
    newer = file.read_text().replace("version: 8", "version: 10\n  new_field: {a: [1]}")
    file.write_text(newer if metadata == "version 10" else metadata)

    dataset = opened(bag, [LOG[frame] for frame in LABELLED])

    assert pictures_of(dataset) == expected(LABELLED)
    assert dataset.faults == ()


def test_case_20_what_metadata_counts_and_files_lack_is_lost(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "drive", LOG)
    file = bag / "metadata.yaml"
    file.write_text(file.read_text().replace("message_count: 40", "message_count: 50"))
    (fault,) = opened(bag, LOG[:3]).faults
    assert fault.reason == "they are not in its files: 10 of 50 pictures are lost"


def test_case_20_a_missing_file_of_a_split_recording_is_named(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "drive", LOG)
    file = bag / "metadata.yaml"
    text = file.read_text().replace("message_count: 40", "message_count: 50")
    file.write_text(text.replace("- drive.mcap", "- drive.mcap\n  - drive_1.mcap"))
    (fault,) = opened(bag, LOG[:3]).faults
    assert fault.reason == "drive_1.mcap is missing: 10 of 50 pictures are lost"


def test_case_20_a_recording_of_foreign_channels_only_names_them(tmp_path: Path) -> None:
    with (tmp_path / "drive.mcap").open("wb") as stream:
        writer = McapWriter(stream)
        writer.start()
        foreign(writer)
        writer.finish()
    with pytest.raises(PolymorphError, match=r"/other/jsonschema \(Pose, json\)"):
        opened(tmp_path / "drive.mcap", LOG)


@pytest.mark.parametrize("definition", ["", "@@@ no definition", "uint8[] other"])
def test_case_22_an_image_schema_without_definition_is_the_built_in_one(
    tmp_path: Path, definition: str
) -> None:
    file = tmp_path / "drive.mcap"
    write_checked_mcap(file, LOG, definition=definition, beside=foreign)
    dataset = opened(file, [LOG[frame] for frame in LABELLED])
    assert pictures_of(dataset) == expected(LABELLED)
    assert dataset.faults == ()


def test_case_22_a_database_without_definitions(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "drive", LOG, storage=StoragePlugin.SQLITE3)
    with closing(sqlite3.connect(bag / "drive.db3")) as base:
        base.execute("DROP TABLE message_definitions")
        base.execute("DROP TABLE schema")
        base.execute("UPDATE topics SET offered_qos_profiles = 'of a later release'")
        base.commit()
    dataset = opened(bag, [LOG[frame] for frame in LABELLED])
    assert pictures_of(dataset) == expected(LABELLED)


def pack(file: Path, suffix: str, frames: int = 1) -> Path:
    """Compress a file as zstd or pzstd does; the plain one goes."""
    data = file.read_bytes()
    size = len(data) // frames + 1
    packed = file.with_name(file.name + suffix)
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    packed.write_bytes(b"".join(zstandard.ZstdCompressor().compress(part) for part in parts))
    file.unlink()
    return packed


@storages
@pytest.mark.parametrize("metadata", [True, False])
@pytest.mark.parametrize("lone", [True, False])
@pytest.mark.parametrize(("suffix", "frames"), [(".zstd", 1), (".zst", 3)])
def test_case_23_files_that_are_still_compressed_are_read(
    tmp_path: Path, storage: StoragePlugin, metadata: bool, lone: bool, suffix: str, frames: int
) -> None:
    bag = write_bag(tmp_path / "drive", LOG, storage=storage)
    (file,) = [path for path in bag.iterdir() if path.suffix != ".yaml"]
    packed = pack(file, suffix, frames)
    if not metadata:
        (bag / "metadata.yaml").unlink()

    dataset = opened(packed if lone else bag, [LOG[frame] for frame in LABELLED])

    assert pictures_of(dataset) == expected(LABELLED)
    assert [track.name for track in dataset.tracks()] == ["drive"]
    assert dataset.faults == ()


@storages
def test_case_23_a_cut_compressed_file_names_the_command(
    tmp_path: Path, storage: StoragePlugin
) -> None:
    bag = write_bag(tmp_path / "drive", LOG, storage=storage)
    (file,) = [path for path in bag.iterdir() if path.suffix != ".yaml"]
    packed = pack(file, ".zstd")
    packed.write_bytes(b"no zstd at all")
    with pytest.raises(PolymorphError, match="unzstd") as caught:
        opened(bag, LOG)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("packed", [False, True])
def test_case_24_a_bag_of_ros_1_is_read(tmp_path: Path, packed: bool) -> None:
    file = write_ros1_bag(tmp_path / "drive.bag", LOG)
    if packed:
        file = pack(file, ".zst")

    dataset = opened(file, [LOG[frame] for frame in LABELLED])

    assert pictures_of(dataset) == expected(LABELLED)
    assert [track.name for track in dataset.tracks()] == ["drive"]
    assert dataset.faults == ()


def test_case_24_bags_of_ros_1_in_a_folder_are_recordings_of_their_own(tmp_path: Path) -> None:
    write_ros1_bag(tmp_path / "drive1.bag", LOG)
    write_ros1_bag(tmp_path / "more/drive2.bag", LOG[:20])
    table = tmp_path / "labels.csv"
    rows = f"drive1,{LOG[3]:.6f},mug\nmore/drive2,{LOG[5]:.6f},\n"
    table.write_text("sequence,stamp,labels\n" + rows)
    dataset = open_dataset(tmp_path)
    assert [track.name for track in dataset.tracks()] == ["drive1", "more/drive2"]
    assert [brightness_of(dataset, sequence) for sequence in (0, 1)] == [[30], [50]]


def test_case_24_a_cut_bag_of_ros_1_names_the_command(tmp_path: Path) -> None:
    file = write_ros1_bag(tmp_path / "drive.bag", LOG)
    file.write_bytes(file.read_bytes()[:20000])
    with pytest.raises(PolymorphError, match="rosbag reindex") as caught:
        opened(file, LOG)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["ros1", ""])
@pytest.mark.parametrize("profile", ["ros1", ""])
def test_case_24_an_mcap_file_with_ros_1_names_and_bytes(
    tmp_path: Path, encoding: str, profile: str
) -> None:
    file = tmp_path / "drive.mcap"
    with file.open("wb") as stream:
        writer = McapWriter(stream)
        writer.start(profile=profile)
        schema = writer.register_schema("sensor_msgs/Image", "ros1msg", b"Header header")
        channel = writer.register_channel(CAMERA, encoding, schema)
        for number, stamp_s in enumerate(LOG):
            stamp_ns = round(stamp_s * 1e9)
            writer.add_message(channel, stamp_ns, ros1_message(number, stamp_s), stamp_ns)
        writer.finish()
    assert pictures_of(opened(file, [LOG[frame] for frame in LABELLED])) == expected(LABELLED)


@storages
@pytest.mark.parametrize(
    "name",
    ["x.mcap", "x.db3", "x.bag", "two words", "Küche 厨房", "100%?#&=", "a'b\"c", "-dash", "v1.2"],
)
def test_case_24_odd_names_of_folders_and_files(
    tmp_path: Path, storage: StoragePlugin, name: str
) -> None:
    written = write_bag(tmp_path / "drive", LOG, storage=storage)
    bag = written.rename(tmp_path / name)
    (file,) = [path for path in bag.iterdir() if path.suffix != ".yaml"]

    for place in (bag, Path(f"{bag}/"), file):
        dataset = opened(place, [LOG[frame] for frame in LABELLED])
        assert pictures_of(dataset) == expected(LABELLED)
        assert dataset.faults == ()
    assert [track.name for track in opened(bag, LOG[:1]).tracks()] == [name]

    odd = file.rename(bag / f"{name}{file.suffix}")
    assert pictures_of(opened(odd, LOG[:1])) == [0]


def test_case_24_the_folder_in_which_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = write_bag(tmp_path / "drive", LOG)
    table = labels(tmp_path / "labels.csv", LOG[:1])
    monkeypatch.chdir(bag)
    dataset = open_dataset(".", labels=table)
    assert [track.name for track in dataset.tracks()] == ["drive"]


def test_a_database_that_another_process_has_locked_is_read(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "drive", LOG, storage=StoragePlugin.SQLITE3)
    with closing(sqlite3.connect(bag / "drive.db3")) as base:
        base.execute("BEGIN EXCLUSIVE")
        assert pictures_of(opened(bag, LOG[:3])) == [0, 10, 20]


def test_messages_in_a_write_ahead_log_are_saved_by_the_command_that_is_named(
    tmp_path: Path,
) -> None:
    bag = write_bag(tmp_path / "drive", LOG, storage=StoragePlugin.SQLITE3)
    with closing(sqlite3.connect(bag / "drive.db3")) as base:
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("DELETE FROM messages WHERE id = 5")
        base.commit()
        copied = shutil.copytree(bag, tmp_path / "copied")  # as a killed recorder leaves it
    (fault,) = [fault for fault in opened(copied, LOG[:9]).faults if "-wal" in fault.where]
    command = fault.reason.partition("; ")[2].removesuffix(" saves its messages")
    assert command == f"sqlite3 {copied / 'drive.db3'} vacuum"
    if shutil.which("sqlite3") is None:
        pytest.skip("the command sqlite3 is not installed")
    subprocess.run(command, shell=True, check=True)
    after = opened(copied, LOG[:9])
    assert not [fault for fault in after.faults if "-wal" in fault.where]
    assert [type(one) for one in pictures_of(after)].count(str) == 1


@pytest.mark.parametrize("tables", ["", "CREATE TABLE topics(id)", "CREATE TABLE messages(a, b)"])
def test_a_database_of_something_else_is_refused_in_one_line(tmp_path: Path, tables: str) -> None:
    with closing(sqlite3.connect(tmp_path / "drive.db3")) as base:
        base.executescript(tables + ";")
    with pytest.raises(PolymorphError) as caught:
        opened(tmp_path / "drive.db3", LOG)
    assert "\n" not in str(caught.value)


Files = dict[str, bytes]


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Small valid recordings by the name of their file."""
    folder = tmp_path_factory.mktemp("valid")
    files = {}
    for storage, suffix in ((StoragePlugin.MCAP, "mcap"), (StoragePlugin.SQLITE3, "db3")):
        bag = write_bag(folder / suffix, LOG[:6], storage=storage, truth={LOG[2]: {"mug": 1}})
        files[f"a.{suffix}"] = (bag / f"{suffix}.{suffix}").read_bytes()
        files[f"a.{suffix}.zstd"] = zstandard.ZstdCompressor().compress(files[f"a.{suffix}"])
        files[f"metadata.yaml of {suffix}"] = (bag / "metadata.yaml").read_bytes()
    chunks = folder / "chunks.mcap"
    write_checked_mcap(chunks, LOG[:6], compression=CompressionType.ZSTD, chunk_size=5000)
    files["b.mcap"] = chunks.read_bytes()
    files["a.bag"] = write_ros1_bag(folder / "a.bag", LOG[:6]).read_bytes()
    return files


NAMES = [
    "a.mcap", "b.mcap", "a.db3", "a.bag", "a.mcap.zstd", "a.db3.zstd",
    "metadata.yaml of mcap", "metadata.yaml of db3",
]  # fmt: skip


def damaged(data: bytes, draw: st.DataObject) -> bytes:
    """The bytes cut, with some flipped, or with a stretch of zeros or noise."""
    changed = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 4))):
        # heads, indices and schemas lie at both ends
        place = draw.draw(
            st.one_of(
                st.integers(0, len(data)),
                st.integers(0, min(400, len(data))),
                st.integers(max(0, len(data) - 3000), len(data)),
            )
        )
        kind = draw.draw(st.sampled_from(["cut", "flip", "zeros", "noise"]))
        if kind == "cut":
            del changed[place:]
        elif kind == "flip" and place < len(changed):
            changed[place] ^= 1 << draw.draw(st.integers(0, 7))
        elif place < len(changed):
            size = min(draw.draw(st.integers(1, 300)), len(changed) - place)
            noise = os.urandom(size) if kind == "noise" else bytes(size)
            changed[place : place + size] = noise
    return bytes(changed)


@pytest.mark.parametrize("name", NAMES)
@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(draw=st.data())
def test_case_20_no_damage_is_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, valid: Files, name: str, draw: st.DataObject
) -> None:
    place = tmp_path_factory.mktemp("damaged")
    bag = place / "drive"
    bag.mkdir()
    kind = name.rpartition(" ")[2]
    if name.startswith("metadata"):
        (bag / f"a.{kind}").write_bytes(valid[f"a.{kind}"])
        (bag / "metadata.yaml").write_bytes(damaged(valid[name], draw))
    else:
        (bag / name).write_bytes(damaged(valid[name], draw))

    for given_labels in (labels(place / "labels.csv", LOG[:6]), None):
        read_or_refuse(bag, given_labels)
    shutil.rmtree(place)


def read_or_refuse(bag: Path, table: Path | None) -> None:
    try:
        dataset = open_dataset(bag, labels=table, topic=CAMERA)
    except PolymorphError as error:
        refused = str(error)
    else:
        refused = ""
        for sequence in dataset.sequences:
            assert len(list(sequence.pictures.read())) == len(sequence)
    assert "\n" not in refused
