"""Pins what cameras and tools really send as pictures: public reports 09 to 19, and their kind.

One decoder serves messages and files, so most is pinned on its functions. Leaves open a colour
format that a driver names wrongly beyond a remark, and JPEG data that are damaged in the middle.
"""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from polymorph_ros.data.bags import IMAGE
from polymorph_ros.data.dataset import Fault
from polymorph_ros.data.image_files import ImageFiles
from polymorph_ros.data.image_stream import GreyScale, ImageStream
from polymorph_ros.data.open_dataset import open_dataset
from polymorph_ros.data.picture_survey import survey_pictures
from polymorph_ros.data.pixels import ImageError, image_from_buffer, image_from_jpeg
from polymorph_ros.errors import PolymorphError

PROGRESSIVE = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
RESTARTS = [cv2.IMWRITE_JPEG_RST_INTERVAL, 4]


def picture() -> np.ndarray:
    """RGB (96, 128, 3), smooth with a noisy patch, no side like another."""
    y, x = np.mgrid[0:96, 0:128]
    rgb = np.stack([x, y * 2, 255 - x], axis=2).astype(np.uint8)
    rgb[30:60, 40:90] = np.random.default_rng(3).integers(0, 256, (30, 50, 3))
    return rgb


def encoded(suffix: str, options: list[int] | None = None, image: Any = None) -> bytes:
    bgr = picture()[:, :, ::-1] if image is None else image
    return cv2.imencode(suffix, bgr, options or [])[1].tobytes()


def refusal(data: bytes, declared: str = "jpeg", **changed: Any) -> ImageError:
    with pytest.raises(ImageError) as caught:
        image_from_jpeg(data, declared, ImageStream(**changed))
    return caught.value


# What may follow a JPEG: padding of a driver's buffer, a motion photo's video, another JPEG
TAILS = {
    "zeros": bytes(2047),
    "many zeros": bytes(300_000),
    "ones": b"\xff" * 4096,
    "video": b"\x00\x00\x00\x18ftypmp42" + np.random.default_rng(1).bytes(300_000),
    "another": encoded(".jpg"),
    "a cut one": encoded(".jpg")[:700],
}


@pytest.mark.parametrize("tail", sorted(TAILS))
@pytest.mark.parametrize("options", [[], PROGRESSIVE, RESTARTS], ids=["", "progressive", "rst"])
def test_case_09_what_follows_a_jpeg_is_passed_over(tail: str, options: list[int]) -> None:
    data = encoded(".jpg", options)
    expected = image_from_jpeg(data)
    np.testing.assert_array_equal(image_from_jpeg(data + TAILS[tail]), expected)


def test_case_09_the_end_of_a_thumbnail_is_not_the_end_of_the_picture() -> None:
    whole = encoded(".jpg")
    thumbnail = encoded(".jpg", image=picture()[:16, :16, ::-1])
    segment = b"\xff\xe2" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    data = whole[:2] + segment + whole[2:]
    np.testing.assert_array_equal(image_from_jpeg(data + bytes(5000)), image_from_jpeg(whole))
    assert refusal(data[: len(data) * 2 // 3]).reason == "decode"


def test_case_09_a_file_is_read_as_a_message_is(tmp_path: Path) -> None:
    file = tmp_path / "motion.jpg"
    file.write_bytes(encoded(".jpg") + TAILS["video"])
    (image,) = ImageFiles((file,)).read()
    np.testing.assert_array_equal(image, image_from_jpeg(encoded(".jpg")))


@pytest.mark.parametrize(
    ("declared", "data", "name"),
    [
        ("h264", b"\x00\x00\x00\x01\x67\x42\x00\x1e" + bytes(500), "H.264"),
        ("jpeg", b"\x00\x00\x00\x01\x67\x42\x00\x1e" + bytes(500), "H.264"),
        ("", b"\x00\x00\x01\x65\x88" + bytes(500), "H.264"),
        ("jpeg", b"\x00\x00\x00\x01\x40\x01\x0c\x01" + bytes(500), "H.265"),
        ("rgb8; hevc_nvenc", b"\x01\x02\x03\x04" * 9, "H.265"),
        ("H.265", b"\x01\x02\x03\x04" * 9, "H.265"),
        ("libx264;yuv420p;bgr8", b"\x01\x02\x03\x04" * 9, "H.264"),
        ("av1", b"\x12\x00\x0a\x0b" + bytes(40), "AV1"),
        ("jpeg", b"\x12\x00\x0a\x0b" + bytes(40), "AV1"),
        ("libsvtav1", b"\x01\x02\x03\x04" * 9, "AV1"),
        ("jpeg", b"\x82\x49\x83\x42" + bytes(40), "VP9"),
        ("vp8", b"\x01\x02\x03\x04" * 9, "VP8"),
        ("theora", b"\x80theora" + bytes(40), "Theora"),
        ("jpeg", b"OggS" + bytes(40), "Theora"),
        ("ffmpeg", b"\x01\x02\x03\x04" * 9, "codec"),
        ("jpeg", b"\x00\x00\x00\x18ftypisom" + bytes(40), "MP4"),
        ("jpeg", b"\x1a\x45\xdf\xa3" + bytes(40), "container"),
        ("rgb8; zstd", b"\x28\xb5\x2f\xfd" + bytes(40), "zstd"),
        ("jpeg", b"\x28\xb5\x2f\xfd" + bytes(40), "zstd"),
    ],
)
def test_case_11_video_in_a_compressed_image_is_named(
    declared: str, data: bytes, name: str
) -> None:
    error = refusal(data, declared)
    assert (error.reason, name in error.found) == ("encoding", True)
    assert "ros2 run image_transport republish" in error.remedy


@pytest.mark.parametrize("encoding", ["h264", "H265", "hevc", "av1", "vp9", "theora", "avc1"])
def test_case_11_video_in_an_image_is_named(encoding: str) -> None:
    with pytest.raises(ImageError, match="video") as caught:
        image_from_buffer(bytes(500), 480, 640, 0, encoding)
    assert caught.value.reason == "encoding"
    assert "republish" in caught.value.remedy


@pytest.mark.parametrize("declared", ["nv12", "yuv422_yuy2", "YUYV"])
def test_case_11_raw_pixels_in_a_compressed_image_are_named(declared: str) -> None:
    error = refusal(bytes(640 * 480), declared)
    assert error.reason == "encoding" and "sensor_msgs/msg/Image" in error.remedy


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"GIF89a" + bytes(90), "GIF"),
        (b"\x00\x00\x00\x1cftypavif" + bytes(90), "AVIF"),
        (b"\x00\x00\x00\x0cjP  " + bytes(90), "JPEG 2000"),
    ],
)
def test_case_11_other_pictures_are_named(data: bytes, name: str) -> None:
    error = refusal(data)
    assert error.reason == "encoding" and name in error.found and "JPEG or PNG" in error.remedy


def test_case_11_a_jpeg_is_a_jpeg_whatever_its_message_says() -> None:
    assert image_from_jpeg(encoded(".jpg"), "h264").shape == (96, 128, 3)


def twelve_bits(top: int = 4095) -> np.ndarray:
    return (np.arange(640 * 480).reshape(480, 640) * top // (640 * 480 - 1)).astype(np.uint16)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_case_12_fewer_than_16_bits_fill_the_range(bits: int) -> None:
    values = twelve_bits(2**bits - 1)
    stream = ImageStream()

    raw = image_from_buffer(values.tobytes(), 480, 640, 1280, "mono16", stream=stream)
    packed = image_from_jpeg(encoded(".png", image=values), "mono16; png compressed")

    assert (int(raw.min()), int(raw.max())) == (0, 255)
    np.testing.assert_array_equal(raw[..., 0], values >> (bits - 8))
    np.testing.assert_array_equal(packed, raw)
    told = [f"16-bit samples use {bits} bits: brightness is scaled to these"]
    assert list(stream.remarks) == (told if bits < 16 else [])


def test_case_12_the_range_never_shrinks_and_is_learned_in_order(tmp_path: Path) -> None:
    files = []
    for number, top in enumerate((900, 4000, 100)):
        files.append(tmp_path / f"{number}.png")
        assert cv2.imwrite(str(files[-1]), np.full((4, 4), top, np.uint16))
    pictures = ImageFiles(tuple(files))

    first, again = [[int(one[0, 0, 0]) for one in pictures.read()] for _ in range(2)]  # type: ignore[call-overload]

    assert first == again == [900 >> 2, 4000 >> 4, 100 >> 4]


def test_case_12_a_given_range_holds_from_the_first_picture() -> None:
    stream = ImageStream(grey=GreyScale(12))
    dark = np.full((4, 4), 160, np.uint16)
    image = image_from_buffer(dark.tobytes(), 4, 4, 8, "mono16", stream=stream)
    assert set(image.ravel().tolist()) == {10}


@pytest.mark.parametrize("bits", [0, 7, 17])
def test_case_12_an_impossible_range_is_refused(bits: int) -> None:
    with pytest.raises(PolymorphError, match="8 to 16 bits"):
        GreyScale(bits)


def test_case_12_bayer_and_colour_of_12_bits_are_scaled_alike() -> None:
    for encoding, channels in (("bayer_rggb16", 1), ("rgb16", 3)):
        values = np.full((8, 8, channels), 4095, np.uint16)
        image = image_from_buffer(values.tobytes(), 8, 8, 16 * channels, encoding)
        assert set(image.ravel().tolist()) == {255}


@pytest.mark.parametrize("encoding", ["8UC1", "8UC3", "8UC4", "8uc3"])
def test_case_13_opencv_types_are_taken_with_a_remark(encoding: str) -> None:
    channels = int(encoding[-1])
    known = {1: "mono8", 3: "bgr8", 4: "bgra8"}[channels]
    data = np.random.default_rng(0).bytes(480 * 640 * channels)
    stream = ImageStream()
    image = image_from_buffer(data, 480, 640, 640 * channels, encoding, stream=stream)
    np.testing.assert_array_equal(image, image_from_buffer(data, 480, 640, 640 * channels, known))
    (remark,) = stream.remarks
    assert f"{encoding} is taken as {known}" in remark


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1", "16SC1", "64FC1"])
def test_case_13_depth_is_refused_by_name(encoding: str) -> None:
    with pytest.raises(ImageError, match="depth") as caught:
        image_from_buffer(bytes(480 * 640 * 8), 480, 640, 640 * 8, encoding)
    assert caught.value.reason == "encoding"
    png = encoded(".png", image=twelve_bits())
    for declared in (f"{encoding}; png compressed", f"{encoding}; compressedDepth rvl"):
        assert "depth" in refusal(png, declared).found


def test_case_13_a_tiff_of_floats_is_refused_by_name() -> None:
    error = refusal(encoded(".tiff", image=twelve_bits().astype(np.float32)), "tiff")
    assert error.reason == "encoding" and "32 bits" in error.found


@pytest.mark.parametrize("name", ["NV21", "RGB8", "Mono8", "YUY2 "])
def test_case_14_names_of_encodings_may_be_in_any_case(name: str) -> None:
    size = {"NV21": 24, "RGB8": 48, "Mono8": 16, "YUY2 ": 32}[name]
    step = {"NV21": 4, "RGB8": 12, "Mono8": 4, "YUY2 ": 8}[name]
    assert image_from_buffer(bytes(size), 4, 4, step, name).shape == (4, 4, 3)


@pytest.mark.parametrize("options", [[], PROGRESSIVE, RESTARTS], ids=["", "progressive", "rst"])
@pytest.mark.parametrize("padding", [0, 3000])
def test_case_17_a_jpeg_without_its_end_marker_is_whole(options: list[int], padding: int) -> None:
    data = encoded(".jpg", options)
    stream = ImageStream()
    image = image_from_jpeg(data[:-2] + bytes(padding), "jpeg", stream)
    np.testing.assert_array_equal(image, image_from_jpeg(data))
    assert stream.remarks == {"JPEG without an end marker": 1}


@pytest.mark.parametrize("options", [[], PROGRESSIVE, RESTARTS], ids=["", "progressive", "rst"])
@pytest.mark.parametrize("padding", [0, 3000])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.9, 0.99])
def test_case_17_a_cut_jpeg_is_refused(options: list[int], padding: int, share: float) -> None:
    data = encoded(".jpg", options)
    error = refusal(data[: int(len(data) * share)] + bytes(padding))
    assert error.reason == "decode"


@pytest.mark.parametrize("suffix", [".png", ".webp", ".bmp", ".tiff", ".ppm"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.95])
def test_case_17_other_cut_pictures_are_refused(suffix: str, share: float) -> None:
    data = encoded(suffix)
    assert image_from_jpeg(data).shape == (96, 128, 3)
    assert refusal(data[: int(len(data) * share)]).reason == "decode"


def test_case_17_the_decoders_write_nothing_about_damaged_pictures(
    capfd: pytest.CaptureFixture[str],
) -> None:
    image_from_jpeg(encoded(".jpg")[:-2])
    refusal(encoded(".jpg")[:-700])
    for suffix in (".png", ".webp", ".bmp", ".tiff", ".ppm"):
        refusal(encoded(suffix)[:-700])
    assert capfd.readouterr() == ("", "")


def cmyk_jpeg() -> bytes:
    """The picture as a JPEG of four components."""
    file = io.BytesIO()
    Image.fromarray(picture()).convert("CMYK").save(file, "JPEG", quality=95)
    return file.getvalue()


def test_case_17_grey_progressive_and_cmyk_jpegs_are_pictures() -> None:
    grey = image_from_jpeg(encoded(".jpg", image=picture()[:, :, 0]))
    assert (grey[:, :, 0] == grey[:, :, 2]).all()
    slow = image_from_jpeg(encoded(".jpg", PROGRESSIVE))
    assert np.abs(slow.astype(int) - image_from_jpeg(encoded(".jpg"))).max() <= 1
    four = image_from_jpeg(cmyk_jpeg())
    smooth = np.abs(four.astype(int) - picture())[70:]
    assert smooth.mean() < 4


def with_orientation(data: bytes, value: int) -> bytes:
    """A JPEG with an EXIF orientation."""
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, value, 0)
    exif += bytes(4)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


@pytest.mark.parametrize(
    ("value", "turned"),
    [(1, lambda x: x), (3, lambda x: x[::-1, ::-1]), (6, lambda x: np.rot90(x, -1)), (8, np.rot90)],
)
def test_case_17_exif_orientation_is_followed_in_messages_and_files(
    tmp_path: Path, value: int, turned: Any
) -> None:
    data = with_orientation(encoded(".jpg"), value)
    expected = turned(image_from_jpeg(encoded(".jpg")))
    (tmp_path / "a.jpg").write_bytes(data)
    np.testing.assert_array_equal(image_from_jpeg(data), expected)
    (read,) = ImageFiles((tmp_path / "a.jpg",)).read()
    np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize(
    ("encoding", "row", "rows"), [("rgb8", 12, 4), ("nv12", 4, 6), ("yuyv", 8, 4), ("i420", 4, 6)]
)
def test_case_18_spare_bytes_and_an_unpadded_last_row(encoding: str, row: int, rows: int) -> None:
    stream = ImageStream()
    data = np.random.default_rng(2).bytes(row * rows)
    expected = image_from_buffer(data, 4, 4, row, encoding, stream=stream)
    assert not stream.remarks

    longer = image_from_buffer(data + bytes(4096), 4, 4, row, encoding, stream=stream)

    np.testing.assert_array_equal(longer, expected)
    (remark,) = stream.remarks
    assert "more data" in remark
    with pytest.raises(ImageError) as caught:
        image_from_buffer(data[:-1], 4, 4, row, encoding)
    assert caught.value.reason == "size"


def test_case_18_the_last_row_needs_no_padding() -> None:
    rows = np.random.default_rng(2).integers(0, 256, (4, 20), np.uint8)
    data = rows.tobytes()[: 3 * 20 + 12]
    image = image_from_buffer(data, 4, 4, 20, "rgb8")
    np.testing.assert_array_equal(image.reshape(4, 12), rows[:, :12])


def test_case_19_exchanged_luma_and_chroma_are_remarked() -> None:
    rng = np.random.default_rng(5)
    luma = (rng.integers(0, 2, (48, 64)) * 120 + 60).astype(np.uint8)
    yuyv = np.stack([luma, np.full_like(luma, 120)], axis=2).tobytes()
    right, wrong = ImageStream(), ImageStream()
    image_from_buffer(yuyv, 48, 64, 128, "yuv422_yuy2", stream=right)
    image_from_buffer(yuyv, 48, 64, 128, "yuv422", stream=wrong)
    assert not right.remarks
    (remark,) = wrong.remarks
    assert "yuv422 may be yuv422_yuy2" in remark


def chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def claims(side: int) -> dict[str, bytes]:
    """Small data whose headers claim a square picture of that side."""
    jpeg = bytearray(encoded(".jpg", image=np.zeros((1600, 1600, 3), np.uint8)))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    bmp = bytearray(encoded(".bmp"))
    bmp[18:26] = struct.pack("<ii", side, -side)
    ihdr = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    idat = chunk(b"IDAT", zlib.compress(bytes(200_000)))
    tags = [(256, side), (257, side), (258, 8), (262, 1), (273, 8), (277, 1), (278, side)]
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in (*tags, (279, 9999))]
    vp8x = b"VP8X\x0a\0\0\0" + bytes(4) + 2 * (min(side, 2**24) - 1).to_bytes(3, "little")
    return {
        "jpeg": bytes(jpeg),
        "progressive": bytes(jpeg).replace(b"\xff\xc0", b"\xff\xc2"),
        "png": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", ihdr) + idat + chunk(b"IEND", b""),
        "bmp": bytes(bmp),
        "tiff": b"II*\0\x08\0\0\0" + struct.pack("<H", 8) + b"".join(entries) + bytes(9999),
        "webp": b"RIFF\xff\x7f\0\0WEBP" + vp8x + bytes(30_000),
        "ppm": b"P6 # a comment\n%d %d\n255\n" % (side, side) + bytes(30_000),
    }


@pytest.mark.parametrize("kind", sorted(claims(32_000)))
def test_case_17_a_huge_claim_is_refused_from_its_header(kind: str) -> None:
    error = refusal(claims(32_000)[kind])
    assert (error.reason, error.found) == ("size", "32000x32000")
    assert "max_image_megapixels" in error.remedy


def test_case_17_a_huge_claim_costs_no_memory(tmp_path: Path) -> None:
    for kind, data in claims(32_000).items():
        (tmp_path / kind).write_bytes(data)
    code = """
import resource, sys
from pathlib import Path
from polymorph_ros.data.pixels import ImageError, image_from_jpeg
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for file in sorted(Path(sys.argv[1]).iterdir()):
    try:
        image_from_jpeg(file.read_bytes())
    except ImageError as error:
        print(file.name, error.reason)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    *reasons, mebibytes = run.stdout.split("\n")[:-1]
    assert reasons == [f"{kind} size" for kind in sorted(claims(9))]
    assert int(mebibytes) <= 4


def test_case_17_the_limit_can_be_changed_and_holds_for_raw_images_too() -> None:
    assert image_from_jpeg(encoded(".jpg"), stream=ImageStream(0.0123)).shape == (96, 128, 3)
    assert refusal(encoded(".jpg"), max_image_megapixels=0.012).reason == "size"
    with pytest.raises(ImageError) as caught:
        image_from_buffer(bytes(96 * 128), 96, 128, 128, "mono8", stream=ImageStream(0.012))
    assert caught.value.reason == "size"


def test_case_17_a_refused_file_is_a_fault_that_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(claims(32_000)["png"])
    (fault,) = ImageFiles((file,)).read()
    assert isinstance(fault, Fault) and "megapixels" in fault.reason


def write_mono16(path: Path, images: list[np.ndarray]) -> None:
    """A recording of mono16 images, a second apart."""
    types = get_typestore(Stores.ROS2_HUMBLE)
    kinds = types.types
    with Writer(path, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        link = writer.add_connection("/cam", IMAGE, typestore=types)
        for second, image in enumerate(images, 1):
            stamp = kinds["builtin_interfaces/msg/Time"](second, 0)
            header = kinds["std_msgs/msg/Header"](stamp, "")
            height, width = image.shape
            data = image.astype("<u2").view(np.uint8).ravel()
            message = kinds[IMAGE](header, height, width, "mono16", 0, 2 * width, data)
            writer.write(link, second * 10**9, types.serialize_cdr(message, IMAGE))


def test_case_12_the_pictures_of_a_recording_share_one_range(tmp_path: Path) -> None:
    images = [np.full((4, 6), top, np.uint16) for top in (900, 4000, 100)]
    write_mono16(tmp_path / "bag", images)
    (tmp_path / "labels.csv").write_text("stamp,labels\n1,cup\n2,cup\n3,\n")

    dataset = open_dataset(tmp_path / "bag", labels=tmp_path / "labels.csv")
    opened = survey_pictures(dataset, lambda: None)

    levels = [int(one[0, 0, 0]) for one in dataset.sequences[0].pictures.read()]  # type: ignore[call-overload]
    assert levels == [900 >> 2, 4000 >> 4, 100 >> 4]
    assert any("16-bit samples use 12 bits" in remark for remark in opened.remarks)
