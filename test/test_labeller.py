"""Pins the front door: its results are the engine's with names; pictures from arrays, paths, bags,
folders and videos; stamps; settings; and what it says of a user's mistake.

Open: how good the labels are (random weights); evaluation measures that. That threads and meter are
the node's needs no test: both call `load_bundle` and `LoadedBundle.open_ledger`.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import polymorph_ros as pm
from helpers.recordings import picture, write_bag, write_video
from helpers.tiny_bundle import CONTEXTS, write_tiny_bundle
from polymorph_ros.data.frame import Frame
from polymorph_ros.data.image_files import read_image
from polymorph_ros.data.image_stream import ImageStream
from polymorph_ros.energy.calibration import Calibration, fingerprint
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.errors import PolymorphError
from polymorph_ros.runtime.loading import LoadedBundle, load_bundle
from polymorph_ros.runtime.settings import EngineSettings

SECOND_NS = 1_000_000_000
SETTINGS = {"threshold_shift": -9.0}  # every label is active, so that names are compared


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny").path


@pytest.fixture(scope="module")
def loaded(bundle: Path) -> LoadedBundle:
    return load_bundle(bundle, "cpu", cpu_threads=1)


@pytest.fixture
def labeller(loaded: LoadedBundle) -> pm.Labeller:
    return pm.Labeller(loaded, EngineSettings(**SETTINGS), "none")


def images(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(count)]


def engine_scores(loaded: LoadedBundle, frames: list[Frame]) -> list[np.ndarray]:
    engine = loaded.engine(loaded.open_ledger("none"), EngineSettings(**SETTINGS))
    return [engine.step(frame).score_array for frame in frames]


def assert_same(results: list[pm.FrameResult], expected: list[np.ndarray]) -> None:
    assert len(results) == len(expected) > 0
    for result, scores in zip(results, expected, strict=True):
        assert np.array_equal(result.score_array, scores)


def test_the_package_alone_imports_nothing_heavy() -> None:
    program = (
        "import sys, polymorph_ros as pm; "
        "heavy = {'numpy', 'torch', 'transformers', 'cv2', 'pydantic'}; "
        "print(pm.__version__, sorted(heavy & set(sys.modules)), "
        "set(pm.__all__) <= set(dir(pm)), pm.PolymorphError.__name__, pm.load.__name__)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.split("\n")[0] == f"{pm.__version__} [] True PolymorphError load"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="polymorph_ros.*lode"):
        _ = pm.lode


def test_results_are_the_engine_s_with_names(labeller: pm.Labeller, loaded: LoadedBundle) -> None:
    pictures = images(5)

    results = [labeller(image, stamp_s=1.0 + n, camera="front") for n, image in enumerate(pictures)]

    frames = [Frame(image, (1 + n) * SECOND_NS, "front") for n, image in enumerate(pictures)]
    assert_same(results, engine_scores(loaded, frames))
    assert [result.stamp_ns for result in results] == [frame.stamp_ns for frame in frames]
    assert results[0].active == labeller.labels
    assert dict(results[0].scores) == dict(
        zip(labeller.labels, results[0].score_array.tolist(), strict=True)
    )
    assert set(results[0].adapters) == set(CONTEXTS) == set(labeller.contexts)
    assert labeller.contexts["street"] == tuple(CONTEXTS["street"])


def test_load_takes_a_folder_and_settings(bundle: Path) -> None:
    labeller = pm.load(bundle, device="cpu", cpu_threads=1, meter="estimated", max_adapters=1)

    result = labeller(images(1)[0])

    assert labeller.settings == EngineSettings(max_adapters=1)
    assert labeller.device == "cpu"
    assert len(result.adapters) <= 1
    assert result.joules >= 0.0
    assert labeller.energy.frames == 1


def test_a_calibration_is_read_with_the_check_that_the_node_makes(
    bundle: Path, tmp_path: Path
) -> None:
    own, foreign = tmp_path / "own.json", tmp_path / "foreign.json"
    Calibration(3.0, 5.0, None, 0.1, "a wall meter", fingerprint()).write(own)
    Calibration(3.0, 5.0, None, 0.1, "a wall meter", {"cpu": "another"}).write(foreign)
    settings = {"device": "cpu", "cpu_threads": 1, "meter": "estimated"}

    spent = pm.load(bundle, calibration=own, **settings).energy

    assert spent.source is EnergySource.ESTIMATED
    assert spent.idle_watts == 3.0
    assert spent.watts_above_idle >= 0.0
    with pytest.raises(PolymorphError, match=r"a calibration of this machine .* one of another"):
        pm.load(bundle, calibration=foreign, **settings)


def test_the_default_bundle_is_the_one_that_comes_with_the_package() -> None:
    assert "person" in pm.load(meter="none").labels


def test_a_path_and_its_pixels_give_the_same(labeller: pm.Labeller, tmp_path: Path) -> None:
    file = tmp_path / "image.png"
    assert cv2.imwrite(str(file), images(1)[0])

    results = [
        labeller(image, stamp_s=1.0, camera=str(number))
        for number, image in enumerate((file, str(file), read_image(file, ImageStream())))
    ]

    assert_same(results, [results[2].score_array] * 3)


def test_a_thing_that_is_like_an_array_will_do(labeller: pm.Labeller) -> None:
    image = images(1)[0]

    listed = labeller(memoryview(image), stamp_s=1.0, camera="view")

    assert_same([listed], [labeller(image, stamp_s=1.0).score_array])


def test_without_a_stamp_the_wall_clock_counts_and_never_goes_back(
    labeller: pm.Labeller,
) -> None:
    before_ns = time.time_ns()
    first = labeller(picture(10))
    ahead = labeller(picture(10), stamp_s=first.stamp_s + 1000.0)

    after = labeller(picture(10))

    assert before_ns <= first.stamp_ns <= time.time_ns()
    assert after.stamp_ns == ahead.stamp_ns
    labeller.reset()
    assert labeller(picture(10)).stamp_ns < ahead.stamp_ns


def test_reset_forgets_one_camera_and_leaves_the_others(labeller: pm.Labeller) -> None:
    one, two = images(2)
    fresh = labeller(two, stamp_s=2.0, camera="fresh")
    for camera in ("front", "rear"):
        labeller(one, stamp_s=1.0, camera=camera)

    labeller.reset("front")

    assert_same([labeller(two, stamp_s=2.0, camera="front")], [fresh.score_array])
    rear = labeller(two, stamp_s=2.0, camera="rear")
    assert not np.array_equal(rear.score_array, fresh.score_array)


def test_settings_change_one_by_one(labeller: pm.Labeller) -> None:
    labeller.apply(max_adapters=1)

    assert labeller.settings == EngineSettings(max_adapters=1, **SETTINGS)
    assert len(labeller(picture(10)).adapters) == 1


@pytest.mark.parametrize("stamp_s", [-1.0, float("nan"), 1.5e18])
def test_a_stamp_that_is_none_is_refused(labeller: pm.Labeller, stamp_s: float) -> None:
    with pytest.raises(pm.PolymorphError, match="stamp_s: expected seconds from 0"):
        labeller(picture(10), stamp_s=stamp_s)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((4, 6), np.uint8), r"found uint8 of shape \(4, 6\); repeat the grey values"),
        (np.zeros((4, 6, 3), np.float32), "found float32 .*; give values from 0 to 255"),
        (np.zeros((4, 6, 4), np.uint8), "; leave the alpha channel out"),
        (np.zeros((3, 4, 6), np.uint8), "; put the channels last"),
        (np.zeros((0, 6, 3), np.uint8), r"found uint8 of shape \(0, 6, 3\)$"),
        (None, "found NoneType$"),
        ([[1], [2, 3]], "expected a uint8 array .*, found .*inhomogeneous"),
        ("no/such.jpg", "no/such.jpg: expected a readable picture, found no such file"),
    ],
)
def test_a_wrong_image_is_refused_with_its_remedy(
    labeller: pm.Labeller, image: object, words: str
) -> None:
    with pytest.raises(pm.PolymorphError, match=words):
        labeller(image)


def test_a_file_that_is_no_picture_is_refused_by_name(
    labeller: pm.Labeller, tmp_path: Path
) -> None:
    (tmp_path / "text.jpg").write_text("no picture")

    with pytest.raises(pm.PolymorphError, match=r"text\.jpg: expected .*picture"):
        labeller(tmp_path / "text.jpg")


def test_an_unknown_setting_is_refused_with_those_that_there_are(bundle: Path) -> None:
    with pytest.raises(pm.PolymorphError, match="max_adapters.*found adapters"):
        pm.load(bundle, adapters=1)


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(pm.PolymorphError, match=r"manifest\.json"):
        pm.load(tmp_path)


def test_a_recording_needs_no_labels_and_keeps_its_stamps(
    labeller: pm.Labeller, loaded: LoadedBundle, tmp_path: Path
) -> None:
    stamps_s = [1.5e9 + 1e-6, 1.5e9 + 0.123456789, 1.5e9 + 0.5]
    bag = write_bag(tmp_path / "drive", stamps_s)

    results = list(labeller.stream(bag))

    stamps_ns = [round(stamp_s * 1e9) for stamp_s in stamps_s]
    frames = [Frame(picture(10 * n), stamp_ns) for n, stamp_ns in enumerate(stamps_ns)]
    assert [result.stamp_ns for result in results] == stamps_ns
    assert {result.camera for result in results} == {"drive"}
    assert_same(results, engine_scores(loaded, frames))


def test_a_folder_of_pictures_and_a_video_are_streams_too(
    labeller: pm.Labeller, loaded: LoadedBundle, tmp_path: Path
) -> None:
    folder = tmp_path / "kitchen"
    folder.mkdir()
    for name in ("000015.png", "000000.png"):
        assert cv2.imwrite(str(folder / name), picture(int(name[4:6])))

    of_folder = list(labeller.stream(folder))
    of_video = list(labeller.stream(write_video(tmp_path / "video.avi", 3)))

    assert [result.stamp_s for result in of_folder] == [0.0, 0.5]
    frames = [Frame(picture(0), 0), Frame(picture(15), SECOND_NS // 2)]
    assert_same(of_folder, engine_scores(loaded, frames))
    assert [result.stamp_s for result in of_video] == pytest.approx([0.0, 0.1, 0.2])
    assert {result.camera for result in of_video} == {"video"}


def test_each_recording_of_a_folder_starts_anew(labeller: pm.Labeller, tmp_path: Path) -> None:
    for drive in ("drive00", "drive01"):
        write_bag(tmp_path / drive, [1.0, 1.5])

    results = list(labeller.stream(tmp_path))
    again = list(labeller.stream(tmp_path))

    assert [result.camera for result in results] == ["drive00"] * 2 + ["drive01"] * 2
    assert_same(results[2:], [result.score_array for result in results[:2]])
    assert_same(again, [result.score_array for result in results])


def test_a_picture_that_cannot_be_decoded_is_left_out_and_named(
    labeller: pm.Labeller, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bag = write_bag(tmp_path / "drive", [1.0, 1.5, 2.0], damaged=1)

    with caplog.at_level(logging.WARNING):
        stamps_s = [result.stamp_s for result in labeller.stream(bag)]

    assert stamps_s == [1.0, 2.0]
    assert "left out" in caplog.text
    assert "at 1.500000000 s" in caplog.text


def test_a_topic_must_be_named_where_there_are_several(
    labeller: pm.Labeller, tmp_path: Path
) -> None:
    bag = write_bag(tmp_path / "drive", [1.0], topics=("/left", "/right"))

    with pytest.raises(pm.PolymorphError, match="/left, /right"):
        list(labeller.stream(bag))

    assert [result.stamp_s for result in labeller.stream(bag, topic="/left")] == [1.0]


def test_a_place_without_pictures_is_refused(labeller: pm.Labeller, tmp_path: Path) -> None:
    with pytest.raises(pm.PolymorphError, match="expected a recording, a video or a folder"):
        list(labeller.stream(tmp_path / "nowhere"))
    with pytest.raises(pm.PolymorphError, match="a recording, a video or a folder.*found none"):
        list(labeller.stream(tmp_path))
